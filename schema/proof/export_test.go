package proof_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/archive/segment/segmenttest"
	"mpim/schema/proof"
)

// exported returns a head over a log of some events, and the lines of an export of all.
func exported(t *testing.T) (proof.Head, [][]byte) {
	t.Helper()
	log := segmenttest.NewLog(1, 7)
	log.Messages(t, 20, []string{"one <text> & more", "another"})
	log.Add(t, "5-0", "broken", []byte("no metadata"), []byte("no payload"))
	f := &forest{}
	for _, r := range log.Records {
		hashes, err := tlog.StoredHashesForRecordHash(f.size, new(proof.Hasher).Hash(proof.EventOf(r)), f)
		if err != nil {
			t.Fatal(err)
		}
		f.hashes, f.size = append(f.hashes, hashes...), f.size+1
	}
	h, err := testKey(t).Open([]byte(f.head(t, testKey(t))))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	for _, r := range log.Records {
		path, err := tlog.ProveRecord(f.size, r.Seq-1, f)
		if err != nil {
			t.Fatal(err)
		}
		line, err := proof.NewExportLine(r, proof.NewEntry(proof.EventOf(r), path))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, text)
	}
	return h, lines
}

func TestExportLinesCheck(t *testing.T) {
	t.Parallel()
	h, lines := exported(t)
	for n, text := range lines {
		line, err := proof.ParseExportLine(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := line.Check(h)
		if err != nil || r.Seq != int64(n+1) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// exportChanges are what somebody may do to a line that has the right bytes.
var exportChanges = [][2]string{
	{`"type":"message.sent"`, `"type":"message.edited"`},
	{`"actor":"u`, `"actor":"v`},
	{`"seq":`, `"seq":1`},
	{`"at":"2026`, `"at":"2025`},
	{`"partition":1`, `"partition":2`},
	{`"partition_seq":3`, `"partition_seq":4`},
	{`"position":"1:3"`, `"position":"1:4"`},
	{`"text":"one`, `"text":"two`},
	{`"data":{`, `"data":{"edited":true,`},
	{`"hashes":["`, `"hashes":["x`},
	{`"metadata":"`, `"metadata":"AAAA`},
	{`"type"`, `"seen":true,"type"`},
	{`"type"`, `"broken":"yes","type"`},
	{`"aggregate":"group:`, `"aggregate":"pair:`},
	{`"version":1`, `"version":2`},
	{`"data":{`, `"data":{},"dat":{`},
	{`"data":{`, `"data":null,"dat":{`},
	{`"client_id":"`, `"id":"`},
	{`"type"`, `"type":"message.recalled","type"`},
}

// What a line says to people is checked as well as what it proves.
func TestChangedExportLinesFail(t *testing.T) {
	t.Parallel()
	h, lines := exported(t)
	good := string(lines[2])
	for _, change := range exportChanges {
		changed := strings.Replace(good, change[0], change[1], 1)
		if changed == good {
			t.Errorf("%s has no %s", good, change[0])
			continue
		}
		line, err := proof.ParseExportLine([]byte(changed))
		if err == nil {
			_, err = line.Check(h)
		}
		if err == nil {
			t.Errorf("with %s the line checks", change[1])
		}
	}
	broken, err := proof.ParseExportLine(lines[len(lines)-1])
	if err != nil {
		t.Fatal(err)
	}
	broken.Type = "message.sent"
	if _, err := broken.Check(h); err == nil {
		t.Error("a line may say what an event is that cannot be decoded")
	}
	less, err := proof.ParseExportLine(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{`null`, `{}`, `{"client_id":"1"}`} {
		less.Data = []byte(data)
		if _, err := less.Check(h); err == nil {
			t.Errorf("a line may leave out what is no secret: %s", data)
		}
	}
}

// The checker that goes with an export wants what this package wants.
func TestPythonChecksExports(t *testing.T) {
	t.Parallel()
	h, lines := exported(t)
	key, directory := testKey(t), t.TempDir()
	note, err := key.Sign(&h)
	if err != nil {
		t.Fatal(err)
	}
	check := func(lines [][]byte) (string, error) {
		for name, content := range map[string][]byte{"head.txt": note, "events.jsonl": append(bytes.Join(lines, []byte("\n")), '\n')} {
			if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), "python3", "../../cmd/mpim/export/check.py", directory, key.Public()[0]).CombinedOutput()
		return string(out), err
	}
	if out, err := check(lines); err != nil || !strings.Contains(out, "ok: 21 events are in the log") || !strings.Contains(out, "1 of them") {
		t.Fatalf("a good export: %v: %s", err, out)
	}
	for _, change := range exportChanges {
		changed := slices.Clone(lines)
		changed[2] = []byte(strings.Replace(string(lines[2]), change[0], change[1], 1))
		if out, err := check(changed); err == nil || !strings.Contains(out, "not proved: line 3") {
			t.Errorf("with %s: %v: %s", change[1], err, out)
		}
	}
	for name, changed := range map[string][][]byte{
		"one line comes twice": append(lines[:3:3], lines[2:]...), "a line is another's": {lines[1], lines[0]}, "a line is none": {[]byte("[]")},
	} {
		if out, err := check(changed); err == nil || !strings.Contains(out, "not proved: line ") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
