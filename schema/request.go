package schema

import (
	"encoding/base64"

	"mpim/domain"
)

// The events of a message that is sent or scheduled tell from which request they come: its client id and all that it said
// stand in them. Of other requests the metadata of the first event keeps what its id, made of ten bytes of the key, does not tell:
// the other two and the hash of the content, in base 64.

// retold says whether the events of a commit tell the request.
func retold(c *domain.Commit) bool {
	for _, fact := range c.Events {
		if t := fact.EventType(); t == domain.TypeMessageSent || t == domain.TypeScheduleCreated {
			return true
		}
	}
	return false
}

// keepRequest returns what the first event of a commit keeps of its request, "" for nothing.
func keepRequest(c *domain.Commit) string {
	if c.Request == nil || retold(c) {
		return ""
	}
	kept := append(c.Request.Key[domain.EventEntropy:len(c.Request.Key):len(c.Request.Key)], c.Request.Content[:]...)
	return base64.RawURLEncoding.EncodeToString(kept)
}

// KeptRequest returns the request of which the metadata keeps what the event's id does not tell; false where it keeps none.
func (r *Record) KeptRequest() (request domain.Request, ok bool) {
	kept, err := base64.RawURLEncoding.DecodeString(r.metadatum(RequestKey))
	entropy, valid := r.ID.Entropy()
	rest := len(request.Key) - domain.EventEntropy
	if err != nil || !valid || len(kept) != rest+len(request.Content) {
		return request, false
	}
	copy(request.Key[:], entropy)
	copy(request.Key[domain.EventEntropy:], kept[:rest])
	copy(request.Content[:], kept[rest:])
	return request, true
}
