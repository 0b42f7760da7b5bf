package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/database"
	"mpim/schema/proof"
)

// auditReport is what `audit verify --json` prints.
type auditReport struct {
	OK         bool `json:"ok"`
	Partitions []struct {
		Partition int    `json:"partition"`
		Events    int64  `json:"events"`
		Root      string `json:"root"`
	} `json:"partitions"`
	Problems []struct {
		Partition *int   `json:"partition"`
		Position  string `json:"position"`
		What      string `json:"what"`
	} `json:"problems"`
}

// audited is a deployment whose log is verified.
type audited struct {
	*testing.T
	*deployment
	db  *database.DB
	key string
}

// verify runs `audit verify`, which exits with 0 only where all is well.
func (a *audited) verify(args ...string) (report auditReport) {
	a.Helper()
	output, err := a.run(a.Context(), append([]string{"audit", "verify", "--json"}, args...)...)
	if decoding := json.Unmarshal([]byte(output), &report); decoding != nil || report.OK != (err == nil) || report.OK != (len(report.Problems) == 0) {
		a.Fatalf("audit verify: %v, %v: %s", err, decoding, output)
	}
	return report
}

// exec runs a command that has to succeed.
func (a *audited) exec(args ...string) string {
	a.Helper()
	output, err := a.run(a.Context(), args...)
	if err != nil {
		a.Fatal(err)
	}
	return output
}

// sql changes the database behind the back of the system.
func (a *audited) sql(statement string, args ...any) {
	a.Helper()
	err := a.db.Write(a.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
}

// wantFound wants a verification to find a problem, and none once it was undone.
func (a *audited) wantFound(what, position string, do, undo func()) {
	a.Helper()
	do()
	report := a.verify()
	found := false
	for _, p := range report.Problems {
		found = found || strings.HasPrefix(p.Position, position)
	}
	if !found {
		a.Errorf("%s: no problem at %s: %+v", what, position, report.Problems)
	}
	undo()
	if report := a.verify(); !report.OK {
		a.Fatalf("%s was undone: %+v", what, report.Problems)
	}
}

// talked starts a deployment whose users have talked, with every event signed.
func talked(t *testing.T) *audited {
	t.Helper()
	d := deploy(t, layout{gateways: 1, workers: 1, env: []string{"MPIM_AUDIT_SIGN_EVERY=1s", "MPIM_PARTITIONS=4"}})
	db, err := database.Open(t.Context(), databaseOf(d))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	a := &audited{T: t, deployment: d, db: db}
	a.talk("ann", "bob")
	head, err := proof.Untrusted([]byte(a.signed()))
	if err != nil {
		t.Fatal(err)
	}
	a.key = head.Keys[0]
	return a
}

// talk has two users say something to each other.
func (a *audited) talk(from, to string) {
	a.Helper()
	base := a.gateways[0].url
	sender, err := register(a.Context(), base, from)
	if err != nil {
		a.Fatal(err)
	}
	other, err := register(a.Context(), base, to)
	if err != nil {
		a.Fatal(err)
	}
	for n := range 12 {
		if _, err := rest(a.Context(), "POST", base+"/v1/messages", sender.Token, params{
			"to": params{"user": other.User.ID}, "client_id": strconv.Itoa(n), "body": say(fmt.Sprintf("message %d", n)),
		}, nil); err != nil {
			a.Fatal(err)
		}
	}
}

// signed waits until a head covers all that is in the log, and returns it.
func (a *audited) signed() string {
	a.Helper()
	var head string
	waitFor(a.T, 30*time.Second, "every event is signed", func() error {
		head = a.exec("audit", "head")
		h, err := proof.Untrusted([]byte(head))
		if err != nil {
			return err
		}
		total := int64(0)
		for _, tree := range h.Trees {
			total += tree.N
		}
		if events := int64(strings.Count(a.exec("replay", "--json"), "\n")); events != total {
			return fmt.Errorf("%d of %d events are signed", total, events)
		}
		return nil
	})
	return head
}

// An auditor looks at a system that people use, with a worker that dies, and at what somebody does to its database.
func TestAudit(t *testing.T) {
	t.Parallel()
	a := talked(t)
	if report := a.verify(); !report.OK || len(report.Partitions) != 4 {
		t.Fatalf("%+v", report)
	}
	directory := t.TempDir()
	kept := filepath.Join(directory, "head.txt")
	if err := os.WriteFile(kept, []byte(a.signed()), 0o600); err != nil {
		t.Fatal(err)
	}

	// Every event is proved, and each proof checks where there is nothing but the binary and the key.
	lone := &deployment{path: a.path}
	for n, line := range strings.Split(strings.TrimSpace(a.exec("replay", "--json")), "\n") {
		var event struct{ Position, Event string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		what := event.Position
		if n%2 == 0 {
			what = event.Event
		}
		file := filepath.Join(directory, "proof.json")
		if err := os.WriteFile(file, []byte(a.exec("audit", "prove", what)), 0o600); err != nil {
			t.Fatal(err)
		}
		if output, err := lone.run(t.Context(), "audit", "check", file, "--key", a.key); err != nil || !strings.Contains(output, event.Event+" is at "+event.Position) {
			t.Errorf("the proof of %s: %v: %s", what, err, output)
		}
	}

	// A worker is killed, another goes on: one history, which extends the head that was kept.
	if err := a.workers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	a.workers = append(a.workers, a.start(t, "another", "worker"))
	a.waitReady(t)
	for _, pair := range [][2]string{{"cat", "dan"}, {"eve", "fay"}} {
		a.talk(pair[0], pair[1])
		a.signed()
	}
	if report := a.verify("--against", kept); !report.OK {
		t.Errorf("%+v", report.Problems)
	}
	a.tampered()

	// A stranger's key is nobody's.
	stranger, err := proof.NewKey("stranger")
	if err != nil {
		t.Fatal(err)
	}
	foreign := &deployment{path: a.path, env: append([]string{"MPIM_AUDIT_KEY=" + stranger}, a.env...)}
	if output, err := foreign.run(t.Context(), "doctor"); err == nil || !strings.Contains(output, "FAIL audit") {
		t.Errorf("with a stranger's key the doctor says %v: %s", err, output)
	}
}

// tampered changes the database as somebody would, and wants each change found.
func (a *audited) tampered() {
	a.Helper()
	type segment struct {
		Partition int    `bun:"log_partition"`
		From      int64  `bun:"from_seq"`
		Data      []byte `bun:"data"`
	}
	var first segment
	var note []byte
	var highest int64
	err := a.db.Read(a.Context(), func(ctx context.Context, tx bun.Tx) error {
		if err := tx.NewRaw("SELECT log_partition, from_seq, data FROM archive_segments ORDER BY log_partition DESC, from_seq LIMIT 1").Scan(ctx, &first); err != nil {
			return err
		}
		if err := tx.NewRaw("SELECT note FROM audit_heads WHERE number = 2").Scan(ctx, &note); err != nil {
			return err
		}
		return tx.NewRaw("SELECT MAX(number) FROM audit_heads").Scan(ctx, &highest)
	})
	if err != nil || highest < 3 {
		a.Fatalf("%d heads: %v", highest, err)
	}
	changed := append([]byte(nil), first.Data...)
	changed[len(changed)/2] ^= 1
	put := func(data []byte) func() {
		return func() {
			a.sql("UPDATE archive_segments SET data = ? WHERE log_partition = ? AND from_seq = ?", data, first.Partition, first.From)
		}
	}
	a.wantFound("a byte of a segment", fmt.Sprintf("%d:%d", first.Partition, first.From), put(changed), put(first.Data))
	move := func(from, to int) func() {
		return func() {
			a.sql("UPDATE archive_segments SET log_partition = ? WHERE log_partition = ? AND from_seq = ?", to, from, first.From)
		}
	}
	a.wantFound("a segment in another partition", fmt.Sprintf("%d:", first.Partition), move(first.Partition, 99), move(99, first.Partition))
	number := func(from, to int) func() {
		return func() { a.sql("UPDATE audit_heads SET number = ? WHERE number = ?", to, from) }
	}
	a.wantFound("a head that is gone", "head 2", number(2, 1_000_000), number(1_000_000, 2))
	write := func(note []byte) func() {
		return func() { a.sql("UPDATE audit_heads SET note = ? WHERE number = 2", note) }
	}
	a.wantFound("a head that was changed", "head 2", write([]byte(strings.Replace(string(note), "\n0 ", "\n0 1", 1))), write(note))
}
