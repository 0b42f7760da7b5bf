package streams

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// outcome is what the script says of one command.
type outcome struct {
	kind byte // o, d, c, s or g: see append.lua
	// partitionSeq, seq and the ordinal or, for a duplicate, the time of the first request in milliseconds.
	partitionSeq, seq, third int64
}

// parseOutcomes reads the script's answer to a batch of n commands.
func parseOutcomes(answer string, n int) ([]outcome, error) {
	outcomes := make([]outcome, 0, n)
	for more := true; more; {
		var word string
		word, answer, more = strings.Cut(answer, ";")
		o, ok := parseOutcome(word)
		if !ok {
			return nil, fmt.Errorf("the append script answered %q", word)
		}
		outcomes = append(outcomes, o)
	}
	if len(outcomes) != n {
		return nil, fmt.Errorf("the append script answered %d commands of %d", len(outcomes), n)
	}
	return outcomes, nil
}

func parseOutcome(word string) (o outcome, ok bool) {
	if word == "" {
		return o, false
	}
	o.kind = word[0]
	switch o.kind {
	case 'c', 's', 'g':
		return o, len(word) == 1
	case 'o', 'd':
	default:
		return o, false
	}
	first, rest, _ := strings.Cut(word[1:], " ")
	second, third, _ := strings.Cut(rest, " ")
	var errs [3]error
	o.partitionSeq, errs[0] = strconv.ParseInt(first, 10, 64)
	o.seq, errs[1] = strconv.ParseInt(second, 10, 64)
	o.third, errs[2] = strconv.ParseInt(third, 10, 64)
	return o, errs == [3]error{}
}

// appended turns the outcome into what Append returns.
func (o outcome) appended(command *encoded, c *domain.Commit) (domain.Appended, error) {
	result := domain.Appended{
		Position: domain.Position{Partition: command.partition, Seq: o.partitionSeq},
		Seq:      domain.Seq(o.seq),
	}
	switch o.kind {
	case 'o':
		result.Ordinal, result.At = o.third, c.At
		result.Event = command.event
		return result, nil
	case 'd':
		result.At, result.Duplicate = time.UnixMilli(o.third).UTC(), true
		result.Event = schema.RequestEventID(c.Request.Key, result.At)
		return result, nil
	case 'c':
		return domain.Appended{}, conflict()
	case 'g':
		return domain.Appended{}, domain.Errorf(domain.FailedPrecondition, "the timer was cancelled or has fired")
	default:
		return domain.Appended{}, domain.ErrStale
	}
}
