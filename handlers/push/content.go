package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"mpim/domain"
	"mpim/schema"
)

// content is the data of an event as clients get it.
type content struct {
	json []byte
	// message is the sequence of the message that the event changes; 0 for what is no change of one.
	message domain.Seq
}

var errData = errors.New("its data is no JSON object")

// content returns the data of an event, which is folded into the roster where it concerns who is a member.
func (p *partition) content(members *roster, r *schema.Record) (content, error) {
	version, known := schema.Lookup(r.Type)
	switch {
	case !known || r.Version > version:
		// Members may come and go with it, in ways that this version cannot know.
		return content{}, fmt.Errorf("type %s, version %d, is newer than this mpim: run a newer worker", r.Type, r.Version)
	case changesMessage(r.Type):
		return changed(r, version)
	case r.Type == domain.TypeMessageSent && r.Version == version:
		// What most events are goes through without being taken apart.
		if !json.Valid(r.Data) || !bytes.HasPrefix(r.Data, []byte{'{'}) {
			return content{}, errData
		}
		return content{json: r.Data}, nil
	}
	event, err := r.Event()
	if err != nil {
		return content{}, err
	}
	members.fold(event)
	return encoded(r, version, event.Data)
}

// encoded returns the data as stored, or raised to the newest version.
func encoded(r *schema.Record, version int, fact domain.Fact) (content, error) {
	if r.Version == version {
		return content{json: r.Data}, nil
	}
	data, err := schema.EncodeFact(fact)
	return content{json: data}, err
}

func changesMessage(t domain.EventType) bool {
	switch t {
	case domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageReacted, domain.TypeMessageExpired:
		return true
	default:
		return false
	}
}

func changed(r *schema.Record, version int) (content, error) {
	fact, err := r.Fact()
	if err != nil {
		return content{}, err
	}
	c, err := encoded(r, version, fact)
	switch fact := fact.(type) {
	case *domain.MessageEdited:
		c.message = fact.Message
	case *domain.MessageRecalled:
		c.message = fact.Message
	case *domain.MessageReacted:
		c.message = fact.Message
	case *domain.MessageExpired:
		c.message = fact.Message
	default:
	}
	if err == nil && c.message < 1 {
		err = errors.New("it names no message: " + strconv.FormatInt(int64(c.message), 10))
	}
	return c, err
}
