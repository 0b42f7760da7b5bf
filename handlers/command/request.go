package command

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"mpim/domain"
)

// Identify returns the identity of a request that may be sent again. Scope is the conversation of a send and the method
// of anything else. Content is the request as understood, in a form that encodes to the same JSON each time; what
// differs between a first try and its retry (times, ids drawn at random) does not belong in it.
func Identify(placement domain.Placement, scope string, sender domain.UserID, clientID string, content any) (*domain.Request, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("identify a request of %s: %w", scope, err)
	}
	var r domain.Request
	key := sha256.New()
	for _, part := range []string{scope, string(sender), clientID} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part))) //nolint:gosec // shorter than a frame
		key.Write(length[:])
		key.Write([]byte(part))
	}
	copy(r.Key[:], key.Sum(nil))
	mac := hmac.New(sha256.New, placement.Key[:])
	mac.Write(text)
	copy(r.Content[:], mac.Sum(nil))
	return &r, nil
}
