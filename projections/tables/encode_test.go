package tables_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/vmihailenco/msgpack"

	"mpim/schema"
)

// encode returns the metadata and the payload of a record as the log has them.
func encode(tb testing.TB, r *schema.Record) (metadata, payload []byte) {
	tb.Helper()
	metadata, err := msgpack.Marshal(map[string]string{
		schema.TypeKey: string(r.Type), schema.VersionKey: strconv.Itoa(r.Version), schema.AggregateKey: r.Aggregate.String(),
		schema.PartitionSeqKey: strconv.FormatInt(r.Seq, 10), schema.SeqKey: strconv.FormatInt(int64(r.ConversationSeq), 10),
		schema.OrdinalKey: strconv.FormatInt(r.Ordinal, 10),
	})
	if err != nil {
		tb.Fatal(err)
	}
	payload, err = json.Marshal(map[string]any{"at": r.At.Format(schema.TimeFormat), "actor": r.Actor, "data": r.Data})
	if err != nil {
		tb.Fatal(err)
	}
	return metadata, payload
}
