package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

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
