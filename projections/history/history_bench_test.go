package history_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
	"mpim/schema"
)

// benchBatch is how many messages one batch holds, and benchConversations among how many conversations they are spread.
const (
	benchBatch         = 500
	benchConversations = 50
)

// BenchmarkApply measures the projection against its limit in the same run: the same rows by plain multi-row INSERT into
// an equal table, one statement and one commit a batch, from strings that the driver quotes. Batches alternate between
// the two, so both meet the same machine.
func BenchmarkApply(b *testing.B) {
	name := server.CreateDatabase(b)
	db := open(b, server.URL(name))
	p := history.New(db)
	if _, err := p.Take(b.Context(), 0, 1); err != nil {
		b.Fatal(err)
	}
	raw, err := sql.Open("mysql", server.DSN(name)+"&interpolateParams=true")
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec("CREATE TABLE raw_messages LIKE history_1_messages"); err != nil {
		b.Fatal(err)
	}
	log := projectionstest.NewLog(0)
	var rawTime, applyTime time.Duration
	var rows int64
	for b.Loop() {
		b.StopTimer()
		batch := benchMessages(b, log)
		statement, args := benchInsert(b, batch)
		b.StartTimer()

		begin := time.Now()
		if _, err := raw.Exec(statement, args...); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if err := p.Apply(context.Background(), projections.Step{Batch: *batch}); err != nil {
			b.Fatal(err)
		}
		rawTime, applyTime = rawTime+middle.Sub(begin), applyTime+time.Since(middle)
		rows += int64(len(batch.Records))
	}
	b.ReportMetric(float64(rows)/rawTime.Seconds(), "raw-rows/s")
	b.ReportMetric(float64(rows)/applyTime.Seconds(), "rows/s")
	b.ReportMetric(100*rawTime.Seconds()/applyTime.Seconds(), "%-of-raw")
}

// benchMessages appends one batch of messages of about 200 bytes of text.
func benchMessages(b *testing.B, log *projectionstest.Log) *schema.Batch {
	b.Helper()
	from := int64(len(log.Records) + 1)
	for i := range benchBatch {
		c := domain.ConversationID(fmt.Sprintf("g%020d00", i%benchConversations))
		text := fmt.Sprintf("message %d: %s", from+int64(i), strings.Repeat("the quick brown fox ", 9))
		log.Append(b, c.Aggregate(), domain.UserID(fmt.Sprintf("u%020d00", i%97)), sent(text))
	}
	return log.Batch(1, from, from+benchBatch-1)
}

// benchInsert returns the plain INSERT of a batch's rows.
func benchInsert(b *testing.B, batch *schema.Batch) (string, []any) {
	b.Helper()
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?, NULL, NULL, '', NULL, NULL)"
	var args []any
	for _, r := range batch.Records {
		fact, err := r.Fact()
		if err != nil {
			b.Fatal(err)
		}
		message := fact.(*domain.MessageSent)
		args = append(args, string(r.Conversation()), int64(r.ConversationSeq), r.Ordinal, string(r.ID), string(r.Actor), r.At,
			message.Body.Type, message.ClientID, string(r.Data[strings.Index(string(r.Data), `"body":`)+7:len(r.Data)-1]))
	}
	return "INSERT INTO raw_messages VALUES " + row + strings.Repeat(", "+row, len(batch.Records)-1), args
}
