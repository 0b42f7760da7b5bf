package streamstest

import (
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

// Store is a server that a log is to be kept on.
type Store struct {
	Client redis.UniversalClient
	// Server is nil for a real one.
	Server streams.Server
}

// partitions is small, so that tests meet the same one often.
const partitions = 4

// TestLog runs the conformance suite of the log: what every server that is to hold one must do. Each test gets a
// store of its own from newStore.
func TestLog(t *testing.T, newStore func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *fixture){
		"numbers are dense":                     testDenseNumbers,
		"entries have the stock layout":         testStockLayout,
		"a request is appended once":            testIdempotency,
		"a request in one batch twice":          testIdempotencyInBatch,
		"a guard that does not hold":            testGuards,
		"sequences reach the decision state":    testPendingSequences,
		"fields are deleted":                    testDelete,
		"all or nothing":                        testAllOrNothing,
		"a lost answer":                         testLostAnswer,
		"an emptied server":                     testEmptied,
		"a server that lost its tail":           testLostTail,
		"a server that others saw further":      testSeenFurther,
		"another log":                           testOtherLog,
		"timers fire once":                      testTimers,
		"pending sequences are settled":         testPendingInTimersAndEvents,
		"many callers":                          testManyCallers,
		"a full queue":                          testFullQueue,
		"a stop flushes":                        testStopFlushes,
		"the reader has no gap":                 testReader,
		"the identity is made once":             testIdentity,
		"requests older than their time go":     testSweep,
		"ids that belong to no log are refused": testForeignAggregate,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, newFixture(t, newStore(t)))
		})
	}
}

// fixture is a created log with one running appender.
type fixture struct {
	Store
	identity streams.Identity
	log      *streams.Log
	stop     func()
	now      time.Time
}

func newFixture(t *testing.T, store Store) *fixture {
	t.Helper()
	identity, err := streams.NewIdentity(partitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Create(t.Context(), store.Client, identity); err != nil {
		t.Fatal(err)
	}
	f := &fixture{Store: store, identity: identity, now: time.UnixMilli(time.Now().UnixMilli()).UTC()}
	f.log, f.stop = f.start(t, streams.Config{})
	return f
}

// start runs another log on the same server, as another process would.
func (f *fixture) start(t *testing.T, config streams.Config) (*streams.Log, func()) {
	t.Helper()
	if config.Client == nil {
		config.Client = f.Client
	}
	config.Server, config.Identity = f.Server, f.identity
	log, err := streams.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("log: %v", err)
		}
	})
	t.Cleanup(stop)
	return log, stop
}

// group returns an aggregate in the given partition.
func (f *fixture) group(partition int) domain.Aggregate { return f.groupOf("u", partition) }

// groupOf returns another one for each creator.
func (f *fixture) groupOf(creator domain.UserID, partition int) domain.Aggregate {
	for i := 0; ; i++ {
		a := f.identity.Placement().Group(creator, strconv.Itoa(i)).Aggregate()
		if p, _ := a.Partition(); p == partition {
			return a
		}
	}
}

func (f *fixture) send(a domain.Aggregate, clientID, text string) domain.Commit {
	c := domain.Commit{
		Aggregate: a, At: f.now, Actor: "u",
		Events:  []domain.Fact{&domain.MessageSent{ClientID: clientID, Body: domain.Body{Type: domain.TextBody, Text: text}}},
		Entropy: []byte("0123456789"),
	}
	if clientID != "" {
		key, content := sha256.Sum256([]byte(a.String()+clientID)), sha256.Sum256([]byte(text))
		c.Request = &domain.Request{Key: [12]byte(key[:12]), Content: [8]byte(content[:8])}
	}
	return c
}

func (f *fixture) mustAppend(t *testing.T, c domain.Commit) domain.Appended {
	t.Helper()
	appended, err := f.log.Append(t.Context(), c)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return appended
}

// records returns what the partition holds.
func (f *fixture) records(t *testing.T, partition int) []*schema.Record {
	t.Helper()
	var records []*schema.Record
	for record, err := range f.reader().Partition(t.Context(), partition, schema.Checkpoint{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

func (f *fixture) reader() streams.Reader {
	return streams.Reader{Client: f.Client, Partitions: partitions, Page: 7}
}

func wantCode(t *testing.T, err error, code domain.Code) {
	t.Helper()
	if err == nil || domain.CodeOf(err) != code {
		t.Fatalf("error is %v, want one of kind %s", err, code)
	}
}
