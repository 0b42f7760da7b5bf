package proof_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"mpim/schema/proof"
)

// testKey signs in tests; it is made of a fixed secret so that files stay what they are.
func testKey(tb testing.TB) *proof.Keys {
	tb.Helper()
	private, err := proof.DeriveKey("test", []byte("a secret of the tests"), "tests")
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := proof.ParseKeys(private)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func eventAt(partition int, seq int64) proof.Event {
	return proof.Event{
		Partition: partition, Seq: seq, UUID: fmt.Sprintf("uuid-%d", seq),
		Metadata: []byte(fmt.Sprintf("metadata of %d", seq)), Payload: []byte(fmt.Sprintf("payload of %d", seq)),
	}
}

// forest is a log of two partitions in memory, of which the second has events.
type forest struct {
	hashes []tlog.Hash
	size   int64
}

func (f *forest) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		list[i] = f.hashes[n]
	}
	return list, nil
}

func newForest(tb interface{ Fatal(...any) }, size int64) *forest {
	f := &forest{}
	for ; f.size < size; f.size++ {
		hashes, err := tlog.StoredHashesForRecordHash(f.size, new(proof.Hasher).Hash(eventAt(1, f.size+1)), f)
		if err != nil {
			tb.Fatal(err)
		}
		f.hashes = append(f.hashes, hashes...)
	}
	return f
}

func (f *forest) head(tb interface{ Fatal(...any) }, keys *proof.Keys) string {
	empty, err := tlog.TreeHash(0, f)
	if err != nil {
		tb.Fatal(err)
	}
	root, err := tlog.TreeHash(f.size, f)
	if err != nil {
		tb.Fatal(err)
	}
	h := proof.Head{
		Log: "0123456789abcdef0123456789abcdef", Number: 7, At: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		Trees: []tlog.Tree{{Hash: empty}, {N: f.size, Hash: root}},
	}
	signed, err := keys.Sign(&h)
	if err != nil {
		tb.Fatal(err)
	}
	return string(signed)
}

func (f *forest) prove(tb interface{ Fatal(...any) }, keys *proof.Keys, seq int64) proof.Proof {
	path, err := tlog.ProveRecord(f.size, seq-1, f)
	if err != nil {
		tb.Fatal(err)
	}
	return proof.Proof{Format: proof.Format, Entry: proof.NewEntry(eventAt(1, seq), path), Head: f.head(tb, keys)}
}

// The bytes of a leaf are what docs/audit.md says; whoever wrote a checker by it relies on them.
func TestLeafIsAsDocumented(t *testing.T) {
	t.Parallel()
	e := proof.Event{Partition: 3, Seq: 17, UUID: "id", Metadata: []byte{0x80}, Payload: []byte("{}")}
	want := "\x00\x00\x00\x013" + "\x00\x00\x00\x0217" + "\x00\x00\x00\x02id" + "\x00\x00\x00\x01\x80" + "\x00\x00\x00\x02{}"
	if got := proof.AppendLeaf(nil, e); string(got) != want {
		t.Errorf("the leaf is %q, want %q", got, want)
	}
	var hasher proof.Hasher
	for range 2 { // a hasher can be used again
		if hasher.Hash(e) != tlog.RecordHash([]byte(want)) {
			t.Error("the hash is not that of RFC 6962")
		}
	}
}

// Moving a byte from one field to the next makes another leaf.
func TestLeavesDiffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		event := func(name string) proof.Event {
			short := rapid.SliceOfN(rapid.ByteRange('0', '1'), 0, 3)
			return proof.Event{
				Partition: rapid.IntRange(0, 11).Draw(t, name+" partition"), Seq: rapid.Int64Range(1, 11).Draw(t, name+" seq"),
				UUID: string(short.Draw(t, name+" uuid")), Metadata: short.Draw(t, name+" metadata"), Payload: short.Draw(t, name+" payload"),
			}
		}
		a, b := event("a"), event("b")
		same := a.Partition == b.Partition && a.Seq == b.Seq && a.UUID == b.UUID && bytes.Equal(a.Metadata, b.Metadata) && bytes.Equal(a.Payload, b.Payload)
		if got := bytes.Equal(proof.AppendLeaf(nil, a), proof.AppendLeaf(nil, b)); got != same {
			t.Fatalf("%+v and %+v have the same leaf: %t", a, b, got)
		}
	})
}

// In a tree of any size every event can be proved, at its own place alone.
func TestEveryEventIsProved(t *testing.T) {
	t.Parallel()
	keys := testKey(t)
	trusted, err := proof.ParseKeys(keys.Public()[0])
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := newForest(t, rapid.Int64Range(1, 600).Draw(t, "size"))
		seq := rapid.Int64Range(1, f.size).Draw(t, "seq")
		text, err := f.prove(t, keys, seq).Text()
		if err != nil {
			t.Fatal(err)
		}
		p, err := proof.ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		checked, err := p.Check(trusted)
		if err != nil || checked.Record.Seq != seq || checked.Record.Partition != 1 || checked.Head.Number != 7 {
			t.Fatalf("event %d of %d: %+v, %v", seq, f.size, checked, err)
		}
		other := rapid.Int64Range(1, f.size+1).Filter(func(n int64) bool { return n != seq }).Draw(t, "other")
		p.Position = fmt.Sprintf("1:%d", other)
		if _, err := p.Check(trusted); err == nil {
			t.Fatalf("event %d of %d is proved to be %d", seq, f.size, other)
		}
	})
}

// Whatever byte of a proof is changed, it shows nothing any more, or the same.
func TestTamperedProofsFail(t *testing.T) {
	t.Parallel()
	keys := testKey(t)
	f := newForest(t, 21)
	good := f.prove(t, keys, 13)
	text, err := good.Text()
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for i := range text {
		for _, b := range []byte{text[i] ^ 1, text[i] ^ 0x20, '0', ' '} {
			if b == text[i] {
				continue
			}
			changed := bytes.Clone(text)
			changed[i] = b
			p, err := proof.ParseProof(changed)
			if err != nil {
				continue
			}
			checked, err := p.Check(keys)
			if err != nil {
				continue
			}
			accepted++
			if e := proof.EventOf(checked.Record); e.Seq != 13 || e.Partition != 1 || string(e.Payload) != "payload of 13" || string(e.Metadata) != "metadata of 13" || e.UUID != "uuid-13" {
				t.Fatalf("with byte %d as %q the proof shows %+v", i, b, e)
			}
		}
	}
	if accepted > 200 {
		t.Errorf("%d changes were accepted; only white space can be", accepted)
	}
	for name, change := range map[string]func(p *proof.Proof){
		"another payload":          func(p *proof.Proof) { p.Payload = []byte("payload of 14") },
		"no uuid":                  func(p *proof.Proof) { p.UUID = nil },
		"a hash less":              func(p *proof.Proof) { p.Hashes = p.Hashes[1:] },
		"a hash more":              func(p *proof.Proof) { p.Hashes = append(p.Hashes, p.Hashes[0]) },
		"very many hashes":         func(p *proof.Proof) { p.Hashes = make([]string, 1000) },
		"hashes in another order":  func(p *proof.Proof) { p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0] },
		"another partition":        func(p *proof.Proof) { p.Position = "0:13" },
		"no such partition":        func(p *proof.Proof) { p.Position = "2:13" },
		"a negative partition":     func(p *proof.Proof) { p.Position = "-1:13" },
		"before the first":         func(p *proof.Proof) { p.Position = "1:0" },
		"behind the last":          func(p *proof.Proof) { p.Position = "1:22" },
		"a position in other form": func(p *proof.Proof) { p.Position = "1:013" },
		"another form":             func(p *proof.Proof) { p.Format = "mpim proof v2" },
		"no head":                  func(p *proof.Proof) { p.Head = "" },
		"a head of fewer events":   func(p *proof.Proof) { p.Head = newForest(t, 12).head(t, keys) },
		"a head of other events":   func(p *proof.Proof) { p.Head = newForest(t, 22).head(t, keys) },
		"a head with more in it":   func(p *proof.Proof) { p.Head = strings.Replace(p.Head, "number 7", "number 7\nnumber 8", 1) },
		"a node shown as an event": func(p *proof.Proof) {
			inner := base64.StdEncoding.EncodeToString(p.Payload)
			p.Payload, p.Hashes = []byte(inner), p.Hashes[1:]
		},
	} {
		p := f.prove(t, keys, 13)
		change(&p)
		if name == "another form" { // looked at when it is read
			if text, err := p.Text(); err != nil || !bytes.Contains(text, []byte(proof.Format)) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := proof.ParseProof(bytes.Replace(text, []byte("proof v1"), []byte("proof v2"), 1)); err == nil {
				t.Errorf("%s is accepted", name)
			}
			continue
		}
		if _, err := p.Check(keys); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := good.Check(&proof.Keys{}); err == nil {
		t.Error("a proof is accepted without any key")
	}
	other, err := proof.NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := proof.ParseKeys(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.Check(strangers); err == nil || !strings.Contains(err.Error(), keys.Public()[0]) {
		t.Errorf("with a stranger's key: %v", err)
	}
}

// A member that is not one of a proof's, or that comes twice, could be read otherwise by another program.
func TestProofsAreReadStrictly(t *testing.T) {
	t.Parallel()
	text, err := newForest(t, 3).prove(t, testKey(t), 2).Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, changed := range []string{
		strings.Replace(string(text), `"position"`, `"note": "true", "position"`, 1),
		strings.Replace(string(text), `"position"`, `"position": "1:3", "position"`, 1),
		strings.Replace(string(text), `"position"`, `"Position"`, 1),
		string(text) + "{}",
		strings.Replace(string(text), `"uuid": "`, `"uuid": "=`, 1),
		"", "{}", "[]", "null",
	} {
		if _, err := proof.ParseProof([]byte(changed)); err == nil {
			t.Errorf("read %s", changed)
		}
	}
}

func TestHeadsAreReadStrictly(t *testing.T) {
	t.Parallel()
	keys := testKey(t)
	signed := newForest(t, 5).head(t, keys)
	h, err := keys.Open([]byte(signed))
	if err != nil || h.Number != 7 || len(h.Keys) != 1 || h.Keys[0] != keys.Public()[0] || h.Trees[1].N != 5 || h.Log == "" || h.At.IsZero() {
		t.Fatalf("%+v, %v", h, err)
	}
	text := h.Text()
	if again, err := proof.ParseHead(text); err != nil || again.Text() != text {
		t.Errorf("%+v, %v", again, err)
	}
	for _, change := range [][2]string{
		{"v1", "v2"},
		{"number 7", "number 07"},
		{"number 7", "number 0"},
		{"number 7", "number +7"},
		{"log ", "Log "},
		{"at 2026", "at  2026"},
		{".678Z", ".678000Z"},
		{"\n1 5 ", "\n1 05 "},
		{"\n1 5 ", "\n1 -5 "},
		{"\n1 5 ", "\n2 5 "},
		{"\n1 5 ", "\n1 9007199254740993 "},
		{"\n1 5 ", "\n1  5 "},
		{"=\n", "\n"},
		{"\n0 0 ", "\n\n0 0 "},
	} {
		if changed := strings.Replace(text, change[0], change[1], 1); changed == text {
			t.Errorf("%q is not there", change[0])
		} else if h, err := proof.ParseHead(changed); err == nil {
			t.Errorf("with %q for %q it reads %+v", change[1], change[0], h)
		}
	}
	if _, err := keys.Open([]byte(strings.Replace(signed, "\n1 5 ", "\n1 6 ", 1))); err == nil {
		t.Error("a head that was changed is accepted")
	}
}

// While a key is replaced both sign, so that who knows one of them sees the other.
func TestKeysAreReplaced(t *testing.T) {
	t.Parallel()
	var private, public [2]string
	for n := range private {
		var err error
		if private[n], err = proof.NewKey(fmt.Sprintf("key%d", n)); err != nil {
			t.Fatal(err)
		}
		if public[n], err = proof.PublicKey(private[n]); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(list string) *proof.Keys {
		t.Helper()
		keys, err := proof.ParseKeys(list)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	f := newForest(t, 3)
	both := f.head(t, parse(private[0]+", "+private[1]))
	for n := range public {
		h, err := parse(public[n]).Open([]byte(both))
		if err != nil || len(h.Keys) != 2 || h.Keys[0] != public[0] || h.Keys[1] != public[1] {
			t.Errorf("with key %d: %+v, %v", n, h, err)
		}
	}
	after := f.head(t, parse(private[1]+","+public[0]))
	if _, err := parse(public[0]).Open([]byte(after)); err == nil {
		t.Error("the old key, which signs no more, opens the new head")
	}
	if h, err := proof.Untrusted([]byte(after)); err != nil || h.Keys[0] != public[1] || len(h.Keys) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, wrong := range []string{"secret", "PRIVATE+KEY+a+b+c", public[0] + "x", private[0][:len(private[0])-8], private[0] + "," + "x+y+z"} {
		if keys, err := proof.ParseKeys(wrong); err == nil {
			t.Errorf("%q gives %+v", wrong, keys)
		}
	}
	if keys := parse(" , "); keys.Signs() || keys.Trusts() {
		t.Error("no keys sign or are trusted")
	}
	if _, err := proof.NewKey("with space"); err == nil {
		t.Error("a name with a space is taken")
	}
}

func TestDerivedKeysStayTheSame(t *testing.T) {
	t.Parallel()
	if public := testKey(t).Public()[0]; public != "test+c4fdbf7e+AZGnn2sa0EURhyFZAhPzB8tiX4M77QCoWpfwmHeOUjn7" {
		t.Errorf("the public key is %s", public)
	}
	a, _ := proof.DeriveKey("test", []byte("a secret"), "one use")
	b, _ := proof.DeriveKey("test", []byte("a secret"), "another use")
	if a == b {
		t.Error("two uses have the same key")
	}
}

func FuzzProof(f *testing.F) {
	keys := testKey(f)
	tree := newForest(f, 13)
	for _, seq := range []int64{1, 7, 13} {
		text, err := tree.prove(f, keys, seq).Text()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := proof.ParseProof(data)
		if err != nil {
			return
		}
		checked, err := p.Check(keys)
		if err != nil {
			return
		}
		// Whoever has no key can only show what was signed.
		e := proof.EventOf(checked.Record)
		if want := eventAt(1, e.Seq); e.Partition != 1 || e.UUID != want.UUID || !bytes.Equal(e.Metadata, want.Metadata) || !bytes.Equal(e.Payload, want.Payload) {
			t.Fatalf("%+v was never signed", e)
		}
	})
}

func FuzzHead(f *testing.F) {
	signed := newForest(f, 13).head(f, testKey(f))
	text, _, _ := strings.Cut(signed, "\n\n")
	f.Add(text + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := proof.ParseHead(text)
		if err == nil && h.Text() != text {
			t.Fatalf("%q reads as %q", text, h.Text())
		}
	})
}

// The proof that is kept here was made once; it checks for ever.
func TestOldProofChecks(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "proof-v1.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := proof.ParseProof(text)
	if err != nil {
		t.Fatal(err)
	}
	if checked, err := p.Check(testKey(t)); err != nil || checked.Record.String() != "1:13" {
		t.Errorf("%+v, %v", checked, err)
	}
}
