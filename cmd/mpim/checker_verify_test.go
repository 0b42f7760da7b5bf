package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/presence"
	"mpim/projections/projectionstest"
	"mpim/projections/recent"
	"mpim/schema"
	"mpim/schema/migrations"
	"mpim/streams"
)

// replayed is one line of `mpim replay --json`.
type replayed struct {
	Partition    int             `json:"partition"`
	PartitionSeq int64           `json:"partition_seq"`
	Event        string          `json:"event"`
	Type         string          `json:"type"`
	Actor        string          `json:"actor"`
	Conversation string          `json:"conversation"`
	Seq          int64           `json:"seq"`
	Data         json.RawMessage `json:"data"`
}

// verify looks at every promise. Everybody is still connected.
func (r *checkerRun) verify(ctx context.Context) {
	log := r.replay(ctx)
	heads := r.verifyLog(log)
	r.verifySeen(ctx, heads, log)
	r.verifyHistory(ctx)
}

// settle waits until nothing is appended any more: the ends of connections are events too.
func (r *checkerRun) settle(ctx context.Context) {
	client := r.d.redis.Client()
	identity, err := streams.ReadIdentity(ctx, client)
	if err != nil {
		r.t.Fatal(err)
	}
	reader := streams.Reader{Client: client, Partitions: identity.Partitions}
	var last []int64
	for still := 0; still < 20; still++ {
		heads, err := reader.Heads(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		if !slices.Equal(heads, last) {
			last, still = heads, 0
		}
		pause(ctx, 100*time.Millisecond)
	}
}

func (r *checkerRun) replay(ctx context.Context) []replayed {
	output, err := r.d.run(ctx, "replay", "--json")
	if err != nil {
		r.t.Fatal(err)
	}
	var log []replayed
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		var one replayed
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			r.t.Fatalf("%s: %v", lines.Text(), err)
		}
		log = append(log, one)
	}
	return log
}

// verifyLog checks that sequences are dense, and that what was acknowledged is there once. It returns the last sequence of
// each conversation.
func (r *checkerRun) verifyLog(log []replayed) map[string]int64 {
	partitions, heads := make(map[int]int64), make(map[string]int64)
	messages, edits := make(map[string][]replayed), make(map[string]int)
	ids := make(map[string]bool)
	for _, e := range log {
		if partitions[e.Partition]++; e.PartitionSeq != partitions[e.Partition] {
			r.fail("partition %d goes on with %d after %d", e.Partition, e.PartitionSeq, partitions[e.Partition]-1)
		}
		if ids[e.Event] {
			r.fail("event %s is there twice", e.Event)
		}
		ids[e.Event] = true
		if e.Seq > 0 {
			if heads[e.Conversation]++; e.Seq != heads[e.Conversation] {
				r.fail("%s goes on with #%d after #%d", e.Conversation, e.Seq, heads[e.Conversation]-1)
			}
		}
		var data struct {
			ClientID string `json:"client_id"`
			Message  int64  `json:"message"`
			Body     body   `json:"body"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			r.fail("data of %s: %v", e.Event, err)
		}
		switch e.Type {
		case "message.sent":
			messages[e.Actor+" "+e.Conversation+" "+data.ClientID] = append(messages[e.Actor+" "+e.Conversation+" "+data.ClientID], e)
		case "message.edited":
			edits[fmt.Sprint(e.Conversation, data.Message, data.Body.Text)]++
		}
	}
	for key, same := range messages {
		if len(same) > 1 {
			r.fail("message %s is in the log %d times", key, len(same))
		}
	}
	for _, a := range r.messages {
		same := messages[a.sender+" "+a.Conversation+" "+a.clientID]
		if len(same) != 1 || same[0].Event != a.Event || same[0].Seq != a.Seq {
			r.fail("%s was acknowledged as %s#%d %s, the log has %+v", a.clientID, a.Conversation, a.Seq, a.Event, same)
		}
		if a.edit == "" {
			continue
		}
		if n := edits[fmt.Sprint(a.Conversation, a.Seq, a.edit)]; n > 1 || a.edited && n != 1 {
			r.fail("the edit of %s (acknowledged: %v) is in the log %d times", a.clientID, a.edited, n)
		}
	}
	return heads
}

// verifySeen waits until every client has every event of its conversations, by whatever way the protocol gives it.
func (r *checkerRun) verifySeen(ctx context.Context, heads map[string]int64, log []replayed) {
	deadline := time.Now().Add(40 * time.Second)
	for conversation, members := range r.members {
		for _, c := range members {
			for c.head(conversation) < heads[conversation] && time.Now().Before(deadline) {
				pause(ctx, 20*time.Millisecond)
			}
			if head := c.head(conversation); head != heads[conversation] {
				r.fail("%s (keeps its socket: %v) saw %s up to #%d of #%d", c.User.Username, c.keeps, conversation, head, heads[conversation])
			}
		}
	}
	for _, e := range log {
		for _, c := range r.members[e.Conversation] {
			c.mu.Lock()
			known := ""
			if s := c.seen[e.Conversation]; s != nil && e.Seq > 0 {
				known = s.events[e.Seq]
			}
			c.mu.Unlock()
			if e.Seq > 0 && known != "" && known != e.Event {
				r.fail("%s saw %s at %s#%d, the log has %s", c.User.Username, known, e.Conversation, e.Seq, e.Event)
			}
		}
	}
}

// verifyHistory reads every conversation as each of its members, and finds every acknowledged message there once.
func (r *checkerRun) verifyHistory(ctx context.Context) {
	wanted := make(map[string]map[int64]acknowledged)
	for _, a := range r.messages {
		if wanted[a.Conversation] == nil {
			wanted[a.Conversation] = make(map[int64]acknowledged)
		}
		wanted[a.Conversation][a.Seq] = a
	}
	var wait sync.WaitGroup
	limit := make(chan struct{}, 8)
	for conversation, members := range r.members {
		for _, c := range members {
			wait.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				r.verifyHistoryOf(ctx, c, conversation, wanted[conversation])
			})
		}
	}
	wait.Wait()
}

func (r *checkerRun) verifyHistoryOf(ctx context.Context, c *chatter, conversation string, wanted map[int64]acknowledged) {
	base := r.d.gateways[len(c.User.Username)%2].url
	head, err := r.position(ctx, c)
	if err != nil {
		r.fail("%s: sync for a position: %v", c.User.Username, err)
		return
	}
	seen := make(map[int64]message)
	var after int64
	for {
		var page struct {
			Messages []message `json:"messages"`
		}
		url := fmt.Sprintf("%s/v1/conversations/%s/messages?after=%d&limit=200&after_position=%s", base, conversation, after, head)
		if _, err := rest(ctx, "GET", url, c.Token, nil, &page); err != nil {
			if codeOf(err) == "unavailable" {
				pause(ctx, 200*time.Millisecond)
				continue
			}
			r.fail("%s: history of %s: %v", c.User.Username, conversation, err)
			return
		}
		for _, m := range page.Messages {
			if m.Seq <= after {
				r.fail("%s: history of %s gives #%d after #%d", c.User.Username, conversation, m.Seq, after)
			}
			after = m.Seq
			seen[m.Seq] = m
		}
		if len(page.Messages) < 200 {
			break
		}
	}
	for seq, a := range wanted {
		m, ok := seen[seq]
		switch {
		case !ok:
			r.fail("%s: history of %s lacks #%d (%s)", c.User.Username, conversation, seq, a.clientID)
		case m.Event != a.Event || m.Sender != a.sender || m.Body == nil:
			r.fail("%s: history of %s has %+v for %s", c.User.Username, conversation, m, a.clientID)
		case m.Body.Text != a.text && m.Body.Text != a.edit, a.edited && m.Body.Text != a.edit:
			r.fail("%s: history of %s#%d reads %q (edit acknowledged: %v)", c.User.Username, conversation, seq, m.Body.Text, a.edited)
		}
	}
}

// position returns a token of where the whole log stands.
func (r *checkerRun) position(ctx context.Context, c *chatter) (string, error) {
	var answer syncAnswer
	for {
		_, err := rest(ctx, "POST", r.d.gateways[0].url+"/v1/sync", c.Token, map[string]any{"limit": 1}, &answer)
		if codeOf(err) != "unavailable" {
			return answer.Position, err
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// dumper is a projection in Redis that can be compared.
type dumper interface {
	projections.Projection
	Dump(ctx context.Context, partition int) (map[string]string, error)
}

// verifyProjections folds the whole log anew, beside the live projections, and compares.
func (r *checkerRun) verifyProjections(ctx context.Context) {
	client := r.d.redis.Client()
	identity, err := streams.ReadIdentity(ctx, client)
	if err != nil {
		r.t.Fatal(err)
	}
	all := identity.Partitions
	const space = "fresh:"
	live := []dumper{
		presence.New(presence.Config{Client: client, Partitions: all}), members.New(members.Config{Client: client, Partitions: all}),
		inbox.New(inbox.Config{Client: client, Partitions: all}), recent.New(recent.Config{Client: client, Partitions: all}),
	}
	fresh := []dumper{
		presence.New(presence.Config{Client: client, Partitions: all, Space: space}), members.New(members.Config{Client: client, Partitions: all, Space: space}),
		inbox.New(inbox.Config{Client: client, Partitions: all, Space: space}), recent.New(recent.Config{Client: client, Partitions: all, Space: space}),
	}
	liveDB, freshDB := r.databases(ctx)
	again := history.New(freshDB)
	reader := streams.Reader{Client: client, Partitions: all}
	for partition := range all {
		for n, p := range fresh {
			r.compare(ctx, reader, live[n], p, partition)
			r.verifyCheckpoint(ctx, reader, live[n], partition)
		}
		r.verifyCheckpoint(ctx, reader, history.New(liveDB), partition)
		r.fold(ctx, reader, again, partition)
	}
	r.compareHistory(ctx, liveDB, freshDB)
}

// verifyCheckpoint waits until a live projection stands at the end of the log: one that a deposed worker set back stays
// behind.
func (r *checkerRun) verifyCheckpoint(ctx context.Context, reader streams.Reader, live projections.Projection, partition int) {
	var got, want int64
	for range 50 {
		heads, err := reader.Heads(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		status, err := live.Status(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		want, got = heads[partition], 0
		for _, p := range status.Partitions {
			if p.Partition == partition {
				got = p.Checkpoint.Seq
			}
		}
		if got == want {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
	r.fail("%s stands at %d:%d, the log ends at %d:%d", live.Name(), partition, got, partition, want)
}

// databases opens the deployment's database and an empty one beside it.
func (r *checkerRun) databases(ctx context.Context) (live, fresh *database.DB) {
	open := func(url string) *database.DB {
		db, err := database.Open(ctx, url)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = db.Close() })
		return db
	}
	for _, setting := range r.d.env {
		if url, ok := strings.CutPrefix(setting, "MPIM_DATABASE_URL="); ok {
			live = open(url)
		}
	}
	fresh = open(r.d.database.URL(r.d.database.CreateDatabase(r.t))) //nolint:contextcheck // it takes the test's
	list, err := database.NewMigrations(fresh, migrations.Files)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := list.Up(ctx); err != nil {
		r.t.Fatal(err)
	}
	return live, fresh
}

// fold applies what a projection has not seen of a partition, in batches of other sizes than the live one had.
func (r *checkerRun) fold(ctx context.Context, reader streams.Reader, p projections.Projection, partition int) {
	const token = 1
	at, err := p.Take(ctx, partition, token)
	if err != nil {
		r.t.Fatalf("take %s: %v", p.Name(), err)
	}
	var records []*schema.Record
	for record, err := range reader.Partition(ctx, partition, at) {
		if err != nil {
			r.t.Fatal(err)
		}
		records = append(records, record)
	}
	for chunk := range slices.Chunk(records, 333) {
		first, last := chunk[0], chunk[len(chunk)-1]
		step := projections.Step{
			Batch: schema.Batch{Partition: partition, Token: token, From: first.Seq, To: last.Seq, StreamID: last.StreamID, Records: chunk},
			At:    last.At,
		}
		if err := p.Apply(ctx, step); err != nil {
			r.t.Fatalf("fold %s: %v", p.Name(), err)
		}
	}
}

// compare waits until the live projection is what a fresh fold makes. Both go on meanwhile: the connections of the gateway
// that was killed end a minute after it.
func (r *checkerRun) compare(ctx context.Context, reader streams.Reader, live, fresh dumper, partition int) {
	var got, want map[string]string
	for range 100 {
		r.fold(ctx, reader, fresh, partition)
		var err error
		if want, err = fresh.Dump(ctx, partition); err != nil {
			r.t.Fatal(err)
		}
		if got, err = live.Dump(ctx, partition); err != nil {
			r.t.Fatal(err)
		}
		if maps.Equal(got, want) {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
	for key, value := range want {
		if got[key] != value {
			r.fail("%s, partition %d: %s is %q, a fresh fold gives %q", live.Name(), partition, key, got[key], value)
		}
	}
	for key, value := range got {
		if _, ok := want[key]; !ok {
			r.fail("%s, partition %d: %s is %q, a fresh fold has none", live.Name(), partition, key, value)
		}
	}
}

func (r *checkerRun) compareHistory(ctx context.Context, live, fresh *database.DB) {
	tables := projectionstest.Rows(ctx, r.t, fresh, "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'history\\_%' ORDER BY 1")
	if len(tables) == 0 {
		r.t.Fatal("a fresh fold of history made no tables")
	}
	for _, line := range tables {
		table := strings.Trim(strings.TrimPrefix(line, "t="), `"`)
		query := "SELECT * FROM " + table + " ORDER BY 1, 2, 3"
		got, want := projectionstest.Rows(ctx, r.t, live, query), projectionstest.Rows(ctx, r.t, fresh, query)
		r.t.Logf("%s: %d rows", table, len(want))
		for n := range max(len(got), len(want)) {
			if n >= len(got) || n >= len(want) || got[n] != want[n] {
				r.fail("%s: %d rows live, %d in a fresh fold; the first difference is at row %d", table, len(got), len(want), n)
				break
			}
		}
	}
}

// report says what the run was made of, so that a run in which nothing happened cannot pass for a good one.
func (r *checkerRun) report() {
	var syncs, resyncs, gaps, connects int64
	for _, c := range r.chatters {
		syncs += c.syncs.Load()
		resyncs += c.resyncs.Load()
		gaps += c.gaps.Load()
		connects += c.connects.Load()
	}
	edits := 0
	for _, a := range r.messages {
		if a.edited {
			edits++
		}
	}
	r.t.Logf("%d messages and %d edits acknowledged, %d requests sent again, %d connects, %d syncs, %d resyncs, %d gaps, %d failures",
		len(r.messages), edits, r.retries.Load(), connects, syncs, resyncs, gaps, r.failures)
	if len(r.messages) < 1000 || r.retries.Load() == 0 || resyncs == 0 {
		r.t.Error("too little happened for the run to mean anything")
	}
}
