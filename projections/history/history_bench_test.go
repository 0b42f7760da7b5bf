package history_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
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

// BenchmarkApply measures the projection against its limit in the same run: the same rows by multi-row INSERT into an equal
// table, one statement and one commit a batch, its text made beforehand, so nothing but the server's time. Batches
// alternate between the two, so both meet the same machine, and the middle of each one's times counts.
func BenchmarkApply(b *testing.B) {
	name := projectionstest.Server.CreateDatabase(b)
	db := projectionstest.Open(b, projectionstest.Server.URL(name))
	p := history.New(db)
	if _, err := p.Take(b.Context(), 0, 1); err != nil {
		b.Fatal(err)
	}
	raw, err := sql.Open("mysql", projectionstest.Server.DSN(name))
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec("CREATE TABLE raw_messages LIKE history_1_messages"); err != nil {
		b.Fatal(err)
	}
	log := projectionstest.NewLog(0)
	var raws, applies []time.Duration
	for b.Loop() {
		b.StopTimer()
		batch := benchMessages(b, log)
		statement := benchInsert(b, batch)
		b.StartTimer()

		begin := time.Now()
		if _, err := raw.Exec(statement); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if err := p.Apply(context.Background(), projections.Step{Batch: *batch}); err != nil {
			b.Fatal(err)
		}
		raws, applies = append(raws, middle.Sub(begin)), append(applies, time.Since(middle))
	}
	slices.Sort(raws)
	slices.Sort(applies)
	limit, got := raws[len(raws)/2].Seconds(), applies[len(applies)/2].Seconds()
	b.ReportMetric(benchBatch/limit, "raw-rows/s")
	b.ReportMetric(benchBatch/got, "rows/s")
	b.ReportMetric(100*limit/got, "%-of-raw")
	b.ReportMetric(100*raws[len(raws)/10].Seconds()/applies[len(applies)/10].Seconds(), "%-of-raw-p10")
}

// benchMessages appends one batch of messages of about 200 bytes of text.
func benchMessages(b *testing.B, log *projectionstest.Log) *schema.Batch {
	b.Helper()
	from := int64(len(log.Records) + 1)
	for i := range benchBatch {
		c := domain.ConversationID(fmt.Sprintf("g%018d%02d00", i%benchConversations, log.Partition))
		text := fmt.Sprintf("message %d: %s", from+int64(i), strings.Repeat("the quick brown fox ", 9))
		log.Append(b, c.Aggregate(), domain.UserID(fmt.Sprintf("u%020d00", i%97)), sent(text))
	}
	return log.Batch(1, from, from+benchBatch-1)
}

// benchInsert returns the plain INSERT of a batch's rows.
func benchInsert(b *testing.B, batch *schema.Batch) string {
	b.Helper()
	var text strings.Builder
	text.WriteString("INSERT INTO raw_messages VALUES ")
	for i, r := range batch.Records {
		fact, err := r.Fact()
		if err != nil {
			b.Fatal(err)
		}
		message := fact.(*domain.MessageSent)
		_, body, _ := strings.Cut(string(r.Data), `"body":`)
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "('%s', %d, %d, '%s', '%s', '%s', '%s', _binary'%s', NULL, NULL, NULL, _binary'%s', "+
			"NULL, NULL, '', NULL, NULL)", r.Conversation(), r.ConversationSeq, r.Ordinal, r.ID, r.Actor,
			r.At.Format("2006-01-02 15:04:05.999999"), message.Body.Type, message.ClientID,
			strings.ReplaceAll(body[:len(body)-1], `"`, `\"`))
	}
	return text.String()
}
