package push

import (
	"encoding/json"
	"strconv"

	"mpim/domain"
	"mpim/schema"
)

// Every frame is a JSON-RPC notification, https://www.jsonrpc.org/specification#notification.
const (
	eventOpen   = `{"jsonrpc":"2.0","method":"event","params":{"conversation":`
	receiptOpen = `{"jsonrpc":"2.0","method":"receipt","params":{"conversation":`
	typingOpen  = `{"jsonrpc":"2.0","method":"typing","params":{"conversation":`
	accountOpen = `{"jsonrpc":"2.0","method":"account","params":{"type":`
	noticeOpen  = `{"jsonrpc":"2.0","method":"notice","params":`
	frameClose  = `}}`
)

// frameSize is enough for all of an event's frame but its data.
const frameSize = 320

// eventFrame returns the push of an event with the given data.
func eventFrame(r *schema.Record, data []byte) []byte {
	b := make([]byte, 0, frameSize+len(data))
	b = append(b, eventOpen...)
	b = appendString(b, r.Aggregate.ID)
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, int64(r.ConversationSeq), 10)
	b = append(b, `,"event":`...)
	b = appendString(b, string(r.ID))
	b = append(b, `,"type":`...)
	b = appendString(b, string(r.Type))
	b = append(b, `,"at":"`...)
	b = r.At.AppendFormat(b, schema.TimeFormat)
	b = append(b, `","actor":`...)
	b = appendString(b, string(r.Actor))
	b = append(b, `,"data":`...)
	b = append(b, data...)
	return append(b, frameClose...)
}

// blindData is the data of a change to a message that the recipient may not see.
func blindData(message domain.Seq) []byte {
	b := append(make([]byte, 0, 40), `{"message":`...)
	return append(strconv.AppendInt(b, int64(message), 10), '}')
}

func (r receipt) frame() []byte {
	b := append(make([]byte, 0, 200), receiptOpen...)
	b = appendString(b, string(r.conversation))
	b = append(b, `,"user":`...)
	b = appendString(b, string(r.user))
	if r.delivered > 0 {
		b = append(b, `,"delivered_seq":`...)
		b = strconv.AppendInt(b, int64(r.delivered), 10)
	}
	if r.read > 0 {
		b = append(b, `,"read_seq":`...)
		b = strconv.AppendInt(b, int64(r.read), 10)
	}
	return append(b, frameClose...)
}

// accountFrame returns the push of a change of something of a user's own.
func accountFrame(r *schema.Record, data []byte) []byte {
	b := append(make([]byte, 0, 160+len(data)), accountOpen...)
	b = appendString(b, string(r.Type))
	b = append(b, `,"actor":`...)
	b = appendString(b, string(r.Actor))
	b = append(b, `,"data":`...)
	b = append(b, data...)
	return append(b, frameClose...)
}

func typingFrame(t schema.Typing) []byte {
	b := append(make([]byte, 0, 160), typingOpen...)
	b = appendString(b, string(t.Conversation))
	b = append(b, `,"user":`...)
	b = appendString(b, string(t.User))
	b = append(b, `,"typing":`...)
	b = strconv.AppendBool(b, t.Typing)
	return append(b, frameClose...)
}

// appendString writes a JSON string. Ids and names of types need no escaping; what comes from outside might.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // strings always encode
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
