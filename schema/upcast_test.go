package schema_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/archive"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/schema/seal"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// raiseText is an upcaster: in version 2, texts are marked by who wrote them down.
func raiseText(data json.RawMessage) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	var body domain.Body
	if err := json.Unmarshal(m["body"], &body); err != nil {
		return nil, err
	}
	body.Text = "raised: " + body.Text
	var err error
	if m["body"], err = json.Marshal(body); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// Of a golden message, the first version is raised, the second read as it is, and one still to come refused.
func TestUpcasterRaisesOlderVersionsAlone(t *testing.T) {
	r := goldens(t)["message.sent.v1.json"].record(t)
	schema.Release(t, domain.TypeMessageSent, raiseText)
	fact, err := r.Fact()
	if err != nil {
		t.Fatal(err)
	}
	if sent, ok := fact.(*domain.MessageSent); !ok || !strings.HasPrefix(sent.Body.Text, "raised: ") {
		t.Errorf("read as %+v", fact)
	}
	if public, err := r.Public(); err != nil || !strings.Contains(string(public), "raised: ") {
		t.Errorf("shown as %s, %v", public, err)
	}
	r.Version = 2
	if fact, err := r.Fact(); err != nil || strings.HasPrefix(fact.(*domain.MessageSent).Body.Text, "raised: ") { //nolint:forcetypeassert // a test
		t.Errorf("version 2 was raised again: %+v, %v", fact, err)
	}
	r.Version = 3
	if _, err := r.Fact(); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a version that is not known: %v", err)
	}
}

// History that was appended, sealed, archived and partly trimmed before a second version existed is read as one of the second: by
// readers of the log, as people see it, and by a projection.
func TestOldHistoryIsReadThroughTheUpcaster(t *testing.T) {
	l := newUpcastLog(t)
	for n := range 6 {
		l.send(t, fmt.Sprint("old ", n))
		if n == 3 {
			l.archive(t)
		}
	}
	schema.Release(t, domain.TypeMessageSent, raiseText)
	l.send(t, "new")
	want := []string{"raised: old 0", "raised: old 1", "raised: old 2", "raised: old 3", "raised: old 4", "raised: old 5", "new"}

	db := projectionstest.Open(t, "sqlite::memory:") // another one: the projection is built anew
	projection := history.New(db)
	partition, _ := l.group.Partition()
	if _, err := projection.Take(t.Context(), partition, 1); err != nil {
		t.Fatal(err)
	}
	batch := schema.Batch{Partition: partition, Token: 1, From: 1}
	for record, err := range l.reader().Merged(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		version := 1
		if n := len(batch.Records); n == len(want)-1 {
			version = 2
		}
		if _, sealed := record.Sealed(); sealed || record.Version != version {
			t.Errorf("event %s is of version %d, sealed: %v", record.Position, record.Version, sealed)
		}
		line, err := schema.NewShownLine(record)
		if err != nil || !strings.Contains(string(line.Data), want[record.Seq-1]) {
			t.Errorf("event %s is shown as %s, %v", record.Position, line.Data, err)
		}
		batch.Records = append(batch.Records, record)
		batch.To, batch.StreamID = record.Seq, record.StreamID
	}
	if err := projection.Apply(t.Context(), projections.Step{Batch: batch}); err != nil {
		t.Fatal(err)
	}
	page, err := history.NewQueries(db).Page(t.Context(), domain.ConversationID(l.group.ID), history.View{Windows: domain.Windows{{From: 1}}}, history.Range{Limit: 10})
	if err != nil || len(page) != len(want) {
		t.Fatalf("history has %d messages, %v", len(page), err)
	}
	for n, message := range page {
		if !strings.Contains(string(message.Body), want[n]) {
			t.Errorf("history has %s, want %q", message.Body, want[n])
		}
	}
}

// upcastLog is a log on a real server with an archive, both sealed.
type upcastLog struct {
	*streams.Log

	server *streamstest.RedisServer
	db     *database.DB
	ring   *seal.Ring
	group  domain.Aggregate
}

func newUpcastLog(t *testing.T) *upcastLog {
	t.Helper()
	l := &upcastLog{server: streamstest.StartRedis(t), db: projectionstest.Open(t, "sqlite::memory:"), ring: segmenttest.NewRing(t)}
	// The server trims whole nodes.
	err := l.server.Client().ConfigSet(t.Context(), "stream-node-max-entries", "1").Err()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := streams.NewIdentity(1)
	if err == nil {
		err = streams.Create(t.Context(), l.server.Client(), identity)
	}
	if err == nil {
		l.Log, err = streams.New(streams.Config{Client: l.server.Client(), Identity: identity, Sealer: l.ring})
	}
	if err != nil {
		t.Fatal(err)
	}
	l.group = identity.Placement().Group("u", "1").Aggregate()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *upcastLog) send(t *testing.T, text string) {
	t.Helper()
	entropy := make([]byte, domain.EventEntropy)
	_, _ = rand.Read(entropy) // never fails, as crypto/rand says
	_, err := l.Append(t.Context(), domain.Commit{
		Aggregate: l.group, At: time.Now(), Actor: l.Identity().Placement().User("ann"), Entropy: entropy,
		Guards: []domain.Guard{{Field: domain.VersionField}},
		Events: []domain.Fact{&domain.MessageSent{ClientID: text, Body: domain.Body{Type: domain.TextBody, Text: text}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// archive archives all, and trims all but the last event.
func (l *upcastLog) archive(t *testing.T) {
	t.Helper()
	archiver, err := archive.New(archive.Config{
		DB: l.db, Stream: streams.Stream{Client: l.server.Client(), Identity: l.Identity}, Partitions: 1, Worker: "test",
		Keep: func() time.Duration { return -time.Hour },
	})
	if err != nil {
		t.Fatal(err)
	}
	heads, err := l.reader().Heads(t.Context())
	if err == nil {
		err = archiver.Now(t.Context(), heads)
	}
	if err != nil {
		t.Fatal(err)
	}
	if trimmed, err := archiver.Trim(t.Context()); err != nil || trimmed != heads[0]-1 {
		t.Fatalf("trimmed %d events, %v", trimmed, err)
	}
}

func (l *upcastLog) reader() streams.Reader {
	return streams.Reader{Client: l.server.Client(), Partitions: 1, Segments: archive.Archive{DB: l.db}, Opener: l.ring}
}
