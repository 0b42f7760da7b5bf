package imports_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/command/commandtest"
	"mpim/handlers/imports"
	"mpim/projections/history"
)

const partitions = 4

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a log with a history that is always complete.
type world struct {
	*commandtest.Log
	placement domain.Placement
}

func newWorld() *world {
	return &world{commandtest.New(partitions), domain.Placement{Partitions: partitions}}
}

func (w *world) Exists(ctx context.Context, name string) (bool, error) {
	fields, err := w.Load(ctx, w.placement.User(name).Aggregate(), []string{domain.HeaderField})
	return fields[domain.HeaderField] != "", err
}

func (w *world) Sent(_ context.Context, id domain.ConversationID, prefix string) (found []history.Sent, err error) {
	partition, _ := id.Partition()
	for _, r := range w.Records(partition, 0) {
		fact, err := r.Fact()
		if err != nil {
			return nil, err
		}
		if m, ok := fact.(*domain.MessageSent); ok && r.Conversation() == id && strings.HasPrefix(m.ClientID, prefix) {
			found = append(found, history.Sent{Seq: r.ConversationSeq, Sender: r.Actor, ClientID: m.ClientID, At: r.At})
		}
	}
	return found, nil
}

func (w *world) check(ctx context.Context, text string) (imports.Summary, error) {
	return imports.Check(ctx, strings.NewReader(text), w, conversation.DefaultLimits(), now)
}

func (w *world) run(ctx context.Context, text string) (*imports.Counts, error) {
	if _, err := w.check(ctx, text); err != nil {
		return nil, err
	}
	counts := new(imports.Counts)
	err := imports.Run(ctx, imports.Config{
		Log: w, Placement: w.placement, History: w, Limits: conversation.DefaultLimits(), Workers: 3,
	}, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, counts)
	return counts, err
}

// told is every event of the log, by aggregate: its type, time and data.
func (w *world) told() map[string]string {
	stories := map[string]string{}
	for partition := range partitions {
		for _, r := range w.Records(partition, 0) {
			stories[r.Aggregate.String()] += fmt.Sprintf("%s %s %s %s\n", r.At.Format(time.RFC3339), r.Actor, r.Type, r.Data)
		}
	}
	return stories
}

// sample is what the documentation shows.
func sample(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```jsonl\n(.*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatal("docs/import.md has no sample")
	}
	return string(found[1])
}

func TestTheSampleIsImported(t *testing.T) {
	w := newWorld()
	counts, err := w.run(t.Context(), sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if u, g, m, s := counts.Users.Load(), counts.Groups.Load(), counts.Messages.Load(), counts.Skipped.Load(); u != 3 || g != 1 || m != 4 || s != 0 {
		t.Errorf("%d users, %d groups, %d messages, %d skipped", u, g, m, s)
	}
	stories := w.told()
	group := stories[w.placement.Group(w.placement.User("ann"), imports.Prefix+"42").Aggregate().String()]
	var kinds []string
	for line := range strings.Lines(group) {
		parts := strings.Fields(line)
		kinds = append(kinds, parts[0][11:16]+" "+parts[2])
	}
	want := "10:00 conversation.created, 10:00 conversation.updated, 10:01 message.sent, 10:02 member.added, 10:02 member.role, 10:03 message.sent, 10:04 member.left"
	if got := strings.Join(kinds, ", "); got != want {
		t.Errorf("the group's story is %s\nwant %s", got, want)
	}
	if !strings.Contains(group, `"reply_to":3`) {
		t.Errorf("the reply names no message:\n%s", group)
	}
	counts, err = w.run(t.Context(), sample(t))
	if err != nil || counts.Skipped.Load() != 10 || counts.Messages.Load() != 0 {
		t.Errorf("again: %d skipped, %d messages, %v", counts.Skipped.Load(), counts.Messages.Load(), err)
	}
	if again := w.told(); fmt.Sprint(again) != fmt.Sprint(stories) {
		t.Errorf("again changed the log:\n%v", again)
	}
}

var errStopped = errors.New("stopped")

// Wherever an import is stopped, and however often: going on leads to the same events as never stopping.
func TestAnImportCanBeStoppedAnywhere(t *testing.T) {
	whole := newWorld()
	if _, err := whole.run(t.Context(), sample(t)); err != nil {
		t.Fatal(err)
	}
	want := whole.told()
	for stop := 1; ; stop++ {
		w := newWorld()
		left := stop
		w.BeforeAppend = func(domain.Commit) error {
			if left--; left < 0 {
				return errStopped
			}
			return nil
		}
		_, err := w.run(t.Context(), sample(t))
		w.BeforeAppend = nil
		if err == nil {
			return
		}
		if !errors.Is(err, errStopped) || !strings.Contains(err.Error(), "line ") {
			t.Fatalf("stopped after %d appends: %v", stop, err)
		}
		if _, err := w.run(t.Context(), sample(t)); err != nil {
			t.Fatalf("after %d appends it does not go on: %v", stop, err)
		}
		if got := w.told(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("stopped after %d appends, the log has\n%v\nwant\n%v", stop, got, want)
		}
	}
}

// What is not possible just now is tried again.
func TestImportsArePatient(t *testing.T) {
	w := newWorld()
	failures := 3
	var mu sync.Mutex
	w.BeforeAppend = func(domain.Commit) error {
		mu.Lock()
		defer mu.Unlock()
		if failures--; failures >= 0 {
			return domain.Errorf(domain.Unavailable, "not now")
		}
		return nil
	}
	if counts, err := w.run(t.Context(), sample(t)); err != nil || counts.Messages.Load() != 4 {
		t.Errorf("%v", err)
	}
}

// What became of imported things since is left alone.
func TestLaterChangesStay(t *testing.T) {
	w := newWorld()
	if _, err := w.run(t.Context(), sample(t)); err != nil {
		t.Fatal(err)
	}
	before := w.told()
	const longer = `{"type":"message","id":"m9","group":"42","sender":"cat","at":"2020-01-01T00:00:00Z","body":{"type":"text","text":"Hello?"},"reply_to":"m2"}`
	counts, err := w.run(t.Context(), sample(t)+longer+"\n")
	if err != nil || counts.Messages.Load() != 1 || counts.Skipped.Load() != 10 {
		t.Fatalf("%d messages, %d skipped, %v", counts.Messages.Load(), counts.Skipped.Load(), err)
	}
	for name, story := range w.told() {
		if !strings.HasPrefix(story, before[name]) {
			t.Errorf("the story of %s was\n%s\nand is\n%s", name, before[name], story)
		}
	}
}

func TestMistakesAreNamedWithTheirLines(t *testing.T) {
	const users = `{"type":"user","username":"ann","created_at":"2019-01-01T00:00:00Z"}
{"type":"user","username":"ben","created_at":"2019-01-01T00:00:00Z"}
{"type":"group","id":"g","title":"G","owner":"ann","members":["ben"],"created_at":"2019-01-01T00:00:00Z"}
{"type":"message","id":"m","to":"ann","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"}}
`
	for line, want := range map[string]string{
		`[]`:          "no JSON object",
		`{"type":""}`: `type "" is not known`,
		`{"type":"user","username":"ANN","created_at":"2019-01-01T00:00:00Z"}`:                                                                 "user ann is in the file twice",
		`{"type":"user","username":"cat","created_at":"1969-01-01T00:00:00Z"}`:                                                                 "before 1970",
		`{"type":"user","username":"cat","created_at":"yesterday"}`:                                                                            "parsing time",
		`{"type":"user","username":"cat","created_at":"2019-01-01T00:00:00Z","password_hash":"md5"}`:                                           "argon2id",
		`{"type":"user","username":"cat","created_at":"2019-01-01T00:00:00Z","avatar_url":"javascript:x"}`:                                     "avatar_url",
		`{"type":"group","id":"g","title":"G","owner":"ann","created_at":"2019-01-01T00:00:00Z"}`:                                              "group g is in the file twice",
		`{"type":"group","id":"h","title":" ","owner":"ann","created_at":"2019-01-01T00:00:00Z"}`:                                              "title is empty",
		`{"type":"group","id":"","title":"H","owner":"ann","created_at":"2019-01-01T00:00:00Z"}`:                                               "id is missing",
		`{"type":"group","id":"` + strings.Repeat("h", 60) + `","title":"H","owner":"ann","created_at":"2019-01-01T00:00:00Z"}`:                "client_id",
		`{"type":"member","group":"g","user":"ben","at":"2019-01-01T00:00:00Z"}`:                                                               "is or was a member",
		`{"type":"member","group":"h","user":"ben","at":"2019-01-01T00:00:00Z"}`:                                                               `group "h" is not in the file`,
		`{"type":"left","group":"g","user":"ann","at":"2019-01-01T00:00:00Z"}`:                                                                 "owner does not leave",
		`{"type":"left","group":"g","user":"ben"}`:                                                                                             "at is missing",
		`{"type":"message","id":"m","to":"ann","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"}}`:                  "message m is in the file twice",
		`{"type":"message","id":"n","to":"ann","sender":"ann","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"}}`:                  "oneself",
		`{"type":"message","id":"n","to":"ann","group":"g","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"}}`:      "either group or to",
		`{"type":"message","id":"n","to":"ann","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x","colour":1}}`:       "colour",
		`{"type":"message","id":"n","group":"g","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"},"reply_to":"m"}`:  "no earlier message of this conversation",
		`{"type":"message","id":"n","to":"cat","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"}}`:                  "there is no user cat",
		`{"type":"message","id":"n","to":"ann","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"` + "a\\u0000" + `"}}`: "U+0000",
		`{"type":"message","id":"n","to":"ann","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":""}}`:                   "text is empty",
		`{"type":"message","id":"n","to":"ann","sender":"ben","at":"2019-01-01T00:00:00Z","body":{"type":"smell"}}`:                            "type",
		`{"type":"message","id":"n","to":"ann","sender":"ben","at":"2027-01-01T00:00:00Z","body":{"type":"text","text":"not yet"}}`:            "still to come",
	} {
		w := newWorld()
		_, err := w.run(t.Context(), users+line+"\n")
		if err == nil || !strings.HasPrefix(err.Error(), "line 5: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
		if len(w.told()) != 0 {
			t.Errorf("%s: something was written", line)
		}
	}
	w := newWorld()
	const late = `{"type":"message","id":"1","group":"g","sender":"ann","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"}}
{"type":"user","username":"cat","created_at":"2019-01-01T00:00:00Z"}
{"type":"member","group":"g","user":"cat","at":"2019-01-01T00:00:00Z"}
{"type":"message","id":"2","group":"g","sender":"cat","at":"2019-01-01T00:00:00Z","body":{"type":"text","text":"x"},"reply_to":"1"}
`
	if _, err := w.check(t.Context(), users+late); err == nil || !strings.Contains(err.Error(), "line 8: reply_to 1 was said before cat came") {
		t.Errorf("an answer to what its sender cannot see: %v", err)
	}
	if _, err := w.check(t.Context(), strings.Repeat("{}\n", 100)); err == nil || strings.Count(err.Error(), "\n") != 20 {
		t.Errorf("a hundred mistakes: %v", err)
	}
	if _, err := w.check(t.Context(), "\n\n"+strings.Repeat("x", 2<<20)); err == nil || !strings.Contains(err.Error(), "line 3: more than") {
		t.Errorf("a long line: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"type":"user","username":"ann","created_at":"2019-01-01T00:00:00Z"}`))
	f.Add([]byte("{}\n[]\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := newWorld()
		summary, err := imports.Check(t.Context(), bytes.NewReader(text), w, conversation.DefaultLimits(), now)
		if err != nil {
			return
		}
		if _, err := w.run(t.Context(), string(text)); err != nil {
			t.Errorf("found sound (%+v), and cannot be imported: %v", summary, err)
		}
	})
}
