package seal_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/schema/seal"
)

var (
	placement = domain.Placement{Partitions: 4}
	ann       = placement.User("ann")
	bob       = placement.User("bob")
	chat      = placement.Pair(ann, bob)
	start     = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
)

// store is SQL, and down where it is told so.
type store struct {
	mu    sync.Mutex
	keys  map[domain.UserID]seal.Wrapped
	down  bool
	reads int
}

var errDown = errors.New("the database is down")

func (s *store) Read(_ context.Context, users []domain.UserID) ([]seal.Wrapped, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads++; s.down {
		return nil, errDown
	}
	var found []seal.Wrapped
	for _, user := range users {
		if k, ok := s.keys[user]; ok {
			found = append(found, k)
		}
	}
	return found, nil
}

func (s *store) Create(_ context.Context, key seal.Wrapped) (seal.Wrapped, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return seal.Wrapped{}, errDown
	}
	if k, ok := s.keys[key.User]; ok {
		return k, nil
	}
	s.keys[key.User] = key
	return key, nil
}

func (s *store) Erased(context.Context) (users []domain.UserID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads++; s.down {
		return nil, errDown
	}
	for user, key := range s.keys {
		if key.Destroyed() {
			users = append(users, user)
		}
	}
	return users, nil
}

func (s *store) destroy(user domain.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[user] = seal.Wrapped{User: user}
}

func (s *store) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// cache is Redis, without the ends of keys.
type cache struct {
	mu   sync.Mutex
	keys map[domain.UserID]cached
	gone chan domain.UserID
	lost chan struct{}
}

type cached struct {
	seal.Wrapped

	until time.Time
}

func (c *cache) Get(_ context.Context, users []domain.UserID) (kept []seal.Kept, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, user := range users {
		if k, ok := c.keys[user]; ok && time.Now().Before(k.until) {
			kept = append(kept, seal.Kept{Wrapped: k.Wrapped, Left: time.Until(k.until)})
		}
	}
	return kept, nil
}

func (c *cache) Put(_ context.Context, keys []seal.Wrapped, left time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		if old, ok := c.keys[k.User]; !ok || !old.Destroyed() {
			c.keys[k.User] = cached{k, time.Now().Add(left)}
		}
	}
	return nil
}

func (c *cache) Destroyed(ctx context.Context, gone func(domain.UserID), lost func()) error {
	lost()
	for {
		select {
		case <-ctx.Done():
			return nil
		case user := <-c.gone:
			gone(user)
		case <-c.lost:
			lost()
		}
	}
}

type world struct {
	*seal.Ring

	store *store
	cache *cache
}

const secret = "0123456789abcdef0123456789abcdef"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		store: &store{keys: map[domain.UserID]seal.Wrapped{}},
		cache: &cache{keys: map[domain.UserID]cached{}, gone: make(chan domain.UserID), lost: make(chan struct{})},
	}
	w.Ring = w.newRing(t, secret)
	return w
}

// newRing returns the ring of another process.
func (w *world) newRing(t *testing.T, setting string) *seal.Ring {
	t.Helper()
	wrapping, err := seal.NewWrapping(setting)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewRing(seal.Config{Store: w.store, Cache: w.cache, Wrapping: wrapping})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// appended returns the records of some facts as who reads the log gets them. Without a ring they are stored open.
func appended(t *testing.T, ring *seal.Ring, c domain.Commit) []*schema.Record {
	t.Helper()
	records, err := tryAppend(t.Context(), ring, c)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func tryAppend(ctx context.Context, ring *seal.Ring, c domain.Commit) ([]*schema.Record, error) {
	if c.Entropy == nil {
		c.Entropy = make([]byte, domain.EventEntropy)
	}
	if c.At.IsZero() {
		c.At = start
	}
	var s schema.Seal
	if ring != nil {
		var err error
		if s, err = ring.Seal(ctx, &c); err != nil {
			return nil, err
		}
	}
	drafts, err := schema.Drafts(c, s)
	if err != nil {
		return nil, err
	}
	var records []*schema.Record
	for i, d := range drafts {
		// What the script completes the map with.
		metadata := append(bytes.Clone(d.Metadata), "\xadpartition_seq\xa11"...)
		if d.Sequenced {
			metadata = append(metadata, "\xa3seq\xa11\xa7ordinal\xa11"...)
		}
		partition, _ := c.Aggregate.Partition()
		record, err := schema.DecodeRecord(partition, "1-1", string(d.ID), metadata, d.Payload)
		if err != nil {
			return nil, err
		}
		record.Seq = int64(i + 1)
		records = append(records, &record)
	}
	return records, nil
}

func sent(text string) domain.Commit {
	return domain.Commit{Aggregate: chat.Aggregate(), Actor: ann, Events: []domain.Fact{
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: text}},
	}}
}

func TestTextsComeBack(t *testing.T) {
	w := newWorld(t)
	name, avatar := "Ann", "https://a.example/1"
	for _, fact := range []domain.Fact{
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: "ok"}},
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: `a "quoted" one with \ and <tags> that goes on for a while`}},
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: "系统支持单聊、群聊、消息撤回，登录后会收到离线期间的消息。"}},
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: strings.Repeat("a long one, ", 900)}},
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: ""}, ReplyTo: 3, Mentions: []string{"all"}},
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.CustomBody, Data: []byte(`{"sealed":"x","a":[1,{"b":"}"}]}`)}},
		&domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.FileBody, URL: "https://f.example/1", Name: "f", Size: new(int64(7)), MIME: "a/b"}},
		&domain.MessageEdited{Message: 1, Body: domain.Body{Type: domain.TextBody, Text: "edited"}},
		&domain.ScheduleCreated{Scheduled: "1", ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: "later"}, DeliverAt: domain.NewInstant(start)},
		&domain.AccountRegistered{Username: "ann", DisplayName: "Ann", PasswordHash: "$argon2id$…"},
		&domain.AccountUpdated{DisplayName: &name, AvatarURL: &avatar},
		&domain.AccountUpdated{AvatarURL: &avatar},
		&domain.SessionCreated{Session: "s1", DeviceID: "d", DeviceName: "Ann's phone", RefreshHash: "r"},
		&domain.ContactRequested{User: bob, Message: "hello"},
		&domain.ContactRemarked{User: bob, Remark: "Bobby"},
	} {
		for _, aggregate := range []domain.Aggregate{chat.Aggregate(), ann.Aggregate()} {
			commit := domain.Commit{Aggregate: aggregate, Actor: ann, Events: []domain.Fact{fact}}
			record := appended(t, w.Ring, commit)[0]
			if _, sealed := record.Sealed(); !sealed {
				t.Fatalf("%s is not sealed: %s", fact.EventType(), record.Data)
			}
			if _, err := record.Fact(); !errors.Is(err, schema.ErrSealed) {
				t.Errorf("%s: decoded without a key: %v", fact.EventType(), err)
			}
			payload := bytes.Clone(record.Payload)
			if err := w.Open(t.Context(), []*schema.Record{record}); err != nil || record.Broken != nil {
				t.Fatalf("%s: %v, %v", fact.EventType(), err, record.Broken)
			}
			plain, err := schema.EncodeFact(fact)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := record.Fact()
			if err != nil {
				t.Fatalf("%s: %s: %v", fact.EventType(), record.Data, err)
			}
			if again, _ := schema.EncodeFact(opened); string(again) != string(plain) {
				t.Errorf("got %s, want %s", again, plain)
			}
			if !bytes.Equal(record.Payload, payload) {
				t.Error("opening changed the stored bytes")
			}
		}
	}
}

func TestWhatIsNobodysStaysPlain(t *testing.T) {
	w := newWorld(t)
	for _, c := range []domain.Commit{
		{Aggregate: chat.Aggregate(), Actor: ann, Events: []domain.Fact{&domain.MessageRecalled{Message: 1}}},
		{Aggregate: chat.Aggregate(), Events: []domain.Fact{&domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "by the system"}}}},
		{Aggregate: ann.Aggregate(), Actor: ann, Events: []domain.Fact{&domain.AccountUpdated{}}},
	} {
		record := appended(t, w.Ring, c)[0]
		if _, sealed := record.Sealed(); sealed {
			t.Errorf("%s is sealed: %s", record.Type, record.Data)
		}
		if _, err := record.Fact(); err != nil {
			t.Error(err)
		}
	}
}

func TestATextOpensNowhereElse(t *testing.T) {
	w := newWorld(t)
	for name, move := range map[string]func(*schema.Record){
		"another event":        func(r *schema.Record) { r.ID = domain.NewEventID(start.Add(time.Millisecond), make([]byte, 10)) },
		"another conversation": func(r *schema.Record) { r.Aggregate = placement.Group(ann, "g").Aggregate() },
		"another type":         func(r *schema.Record) { r.Type = domain.TypeMessageEdited },
		"another owner":        func(r *schema.Record) { r.Actor = bob },
		"another text":         func(r *schema.Record) { r.Data[len(r.Data)-9] ^= 1 },
		"cut":                  func(r *schema.Record) { r.Data = append(r.Data[:len(r.Data)-10], `"}`...) },
	} {
		// Bob has a key, too.
		bobs := sent("mine")
		bobs.Actor = bob
		appended(t, w.Ring, bobs)
		record := appended(t, w.Ring, sent("a text that somebody moves to where it was not written"))[0]
		move(record)
		if err := w.Open(t.Context(), []*schema.Record{record}); err != nil || record.Broken == nil {
			t.Errorf("%s: opened (%v): %s", name, err, record.Data)
		}
	}
}

func TestErasedReadsNull(t *testing.T) {
	w := newWorld(t)
	record := appended(t, w.Ring, sent("gone"))[0]
	w.store.destroy(ann)
	w.cache.keys[ann] = cached{seal.Wrapped{User: ann}, time.Now().Add(time.Hour)}
	other := w.newRing(t, secret)
	if err := other.Open(t.Context(), []*schema.Record{record}); err != nil || record.Broken != nil || !record.Erased {
		t.Fatalf("%v, %v, erased %v", err, record.Broken, record.Erased)
	}
	if want := `{"client_id":"c1","body":null}`; string(record.Data) != want {
		t.Errorf("got %s, want %s", record.Data, want)
	}
	if _, err := tryAppend(t.Context(), other, sent("more")); domain.CodeOf(err) != domain.Unauthenticated {
		t.Errorf("an erased account could write: %v", err)
	}
}

func TestDestroyedKeysAreDroppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		time.Sleep(time.Millisecond) // behind the first loss
		record := appended(t, w.Ring, sent("gone"))[0]
		again := *record
		if err := w.Open(t.Context(), []*schema.Record{record}); err != nil || record.Erased || w.Stale(record) {
			t.Fatalf("%v, erased %v", err, record.Erased)
		}
		w.store.destroy(ann)
		w.cache.gone <- ann
		synctest.Wait()
		if !w.Stale(record) {
			t.Error("what was opened before is not stale")
		}
		if err := w.Open(t.Context(), []*schema.Record{&again}); err != nil || !again.Erased || w.Stale(&again) {
			t.Errorf("%v, erased %v", err, again.Erased)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Without SQL, those who have sent go on for minutes, in this process and in others that find their keys in the cache. New
// ones are asked to try again.
func TestWithoutSQL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(time.Millisecond)
		for range 6 {
			appended(t, w.Ring, sent("in use"))
			time.Sleep(3 * time.Minute)
		}
		w.store.set(true)
		worker := w.newRing(t, secret)
		for range 5 {
			record := appended(t, w.Ring, sent("without SQL"))[0]
			if err := worker.Open(t.Context(), []*schema.Record{record}); err != nil || record.Broken != nil {
				t.Fatal(err, record.Broken)
			}
			time.Sleep(time.Minute)
		}
		bobs := sent("first one")
		bobs.Actor = bob
		if _, err := tryAppend(t.Context(), w.Ring, bobs); domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
		time.Sleep(seal.MaxAge)
		if _, err := tryAppend(t.Context(), w.Ring, sent("too old")); domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("a key was used %s after SQL was asked: %v", seal.MaxAge, err)
		}
		w.store.set(false)
		appended(t, w.Ring, sent("again"))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWrappingKeysAreReplaced(t *testing.T) {
	w := newWorld(t)
	record := appended(t, w.Ring, sent("kept"))[0]
	const fresh = "another secret of thirty-two characters"
	again := *record
	clear(w.cache.keys)
	if err := w.newRing(t, fresh).Open(t.Context(), []*schema.Record{&again}); err != nil || again.Broken == nil ||
		!strings.Contains(again.Broken.Error(), "MPIM_SEAL_KEY") {
		t.Fatalf("opened without the wrapping key: %v, %v", err, again.Broken)
	}
	both, err := seal.NewWrapping(fresh + "," + secret)
	if err != nil {
		t.Fatal(err)
	}
	rewrapped, err := both.Rewrap(w.store.keys[ann])
	if err != nil || rewrapped.Wrapping != both.Current() {
		t.Fatalf("%+v, %v", rewrapped, err)
	}
	w.store.keys[ann] = rewrapped
	clear(w.cache.keys)
	if err := w.newRing(t, fresh).Open(t.Context(), []*schema.Record{record}); err != nil || record.Broken != nil {
		t.Errorf("%v, %v", err, record.Broken)
	}
	// A key that is put into another user's row wraps nothing.
	moved := rewrapped
	moved.User = bob
	if _, err := both.Rewrap(moved); err == nil {
		t.Error("the key of one user was taken for that of another")
	}
	for _, short := range []string{"", "short", secret + ",short"} {
		if _, err := seal.NewWrapping(short); err == nil {
			t.Errorf("%q was taken", short)
		}
	}
}

func TestOpenPayload(t *testing.T) {
	w := newWorld(t)
	record := appended(t, w.Ring, sent("for a service"))[0]
	metadata := map[string]string{"type": "message.sent", "aggregate": chat.Aggregate().String()}
	opened, erased, err := w.OpenPayload(t.Context(), string(record.ID), metadata, record.Payload)
	if err != nil || erased || !bytes.Contains(opened, []byte(`"data":{"client_id":"c1","body":{"type":"text","text":"for a service"}}`)) {
		t.Errorf("%s, %v, %v", opened, erased, err)
	}
	plain := []byte(`{"at":"2026-01-02T03:04:05.678Z","actor":"u","data":{"client_id":"c1","body":{"type":"custom","data":{"sealed":"x"}}}}`)
	if opened, _, err = w.OpenPayload(t.Context(), "e", metadata, plain); err != nil || !bytes.Equal(opened, plain) {
		t.Errorf("%s, %v", opened, err)
	}
	metadata["aggregate"] = "nothing"
	if _, _, err = w.OpenPayload(t.Context(), "e", metadata, plain); err == nil {
		t.Error("an unknown aggregate was taken")
	}
}

// stored is a text of every form, under one key. What was sealed once opens for ever: lines may be added, never changed.
var stored = []struct{ text, members string }{
	{"ASFt2K+ghr/5FRcD8b+XWWoPpnSKWjmZo9iXLRQQRY0", `"body":{"type":"text","text":"ok"}`},
	{
		"ATOPdhKIrAlZxBIhX76mEgrK+0PNmAD97DUQpeT8ayH2lq5WBlM/Jg0GIeuiaQAszspyDPMH8aDegg+W6bzY",
		`"body":{"type":"text","text":"The train leaves at half past six, so be there early."}`,
	},
	{
		"AXmdpg+/maBSrT8ha03Of1cMgwalUIiNuxxsENBsP7DI8UqIecR0woLiiWv6KzyznzUslhr/eTdrKXoWnkakZQFPyGF83Z0R6x/z7bajKd/uecxS8I2VUgVYbcdAIjK1iiO6idV4",
		`"body":{"type":"text","text":"系统支持单聊、群聊、消息撤回，登录后会收到离线期间的消息。"}`,
	},
	{
		"AaDsBiN0/Qq5LU/J8MGPgBqqWgtUNKMxSTyVBfpxw63e0Aiu8BXYOuXR3BuBMPlJR2Jq/jdl5znNT0Q/R2eQ+4JeAJP+//rUQQ",
		`"display_name":"Ann","avatar_url":"https://a.example/1"`,
	},
	{
		"ATO2ssdqADrzXLJlgLMMjpiEwSOzaJA9FM3jd8tNdzxTlcMoEZrYDbwxh0dIjWQO6CrhsqJxtZDF0bP+HxaCXVdI9Q",
		`"remark":"` + strings.Repeat("long ", 300) + `"`,
	},
}

func TestStoredFormsOpenForEver(t *testing.T) {
	key, err := seal.NewKey([seal.KeyBytes]byte([]byte(secret)))
	if err != nil {
		t.Fatal(err)
	}
	at := seal.Place{Event: "01", Aggregate: domain.Aggregate{Kind: domain.Group, ID: "g"}, Type: domain.TypeMessageSent}
	for _, test := range stored {
		members, err := key.Open(at, []byte(test.text))
		if err != nil || string(members) != test.members {
			t.Errorf("%s: got %s, %v, want %s", test.text, members, err, test.members)
		}
	}
}

func FuzzTexts(f *testing.F) {
	f.Add([]byte(`"body":{"type":"text","text":"ok"}`), []byte("AQ"))
	f.Add([]byte(`"a":1,"b":"é系"`), []byte("AQAAAA"))
	key, err := seal.NewKey([seal.KeyBytes]byte([]byte(secret)))
	if err != nil {
		f.Fatal(err)
	}
	at := seal.Place{Event: "01", Aggregate: domain.Aggregate{Kind: domain.Group, ID: "g"}, Type: domain.TypeMessageSent}
	f.Fuzz(func(t *testing.T, members, text []byte) {
		opened, err := key.Open(at, key.Seal(nil, at, members))
		if err != nil || !bytes.Equal(opened, members) {
			t.Fatalf("%q came back as %q, %v", members, opened, err)
		}
		if _, err := key.Open(at, text); err == nil {
			t.Fatalf("%q opened", text)
		}
	})
}
