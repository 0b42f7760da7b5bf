package schema

import (
	"errors"

	"mpim/domain"
)

// RecordOf returns the record of a message as the stock Watermill subscriber delivers it: with its metadata decoded, and without
// its address. Where the record comes with an error, what could be read is set.
func RecordOf(partition int, uuid string, metadata map[string]string, payload []byte) (Record, error) {
	r := Record{ID: domain.EventID(uuid), Payload: payload}
	r.Partition = partition
	var unreadable error
	for key, value := range metadata {
		if err := r.setMetadata([]byte(key), []byte(value)); err != nil {
			unreadable = err
		}
	}
	if unreadable != nil {
		return r, unreadable
	}
	if r.Type == "" || r.Seq < 1 {
		return r, errors.New("metadata lacks type or partition_seq")
	}
	return r, r.decodePayload()
}
