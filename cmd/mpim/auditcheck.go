package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mpim/schema"
	"mpim/schema/proof"
)

type auditCheckCommand struct {
	Proof string   `arg:"" help:"A file that audit prove printed, - for standard input; or a directory that audit export wrote." name:"proof"`
	Key   []string `help:"Public key that is trusted to sign, or a file that holds some; may be repeated." required:"" placeholder:"PUBKEY"`
	JSON  bool     `help:"Print one JSON document."`
}

// checkedLine is what `audit check --json` prints.
type checkedLine struct {
	OK       bool     `json:"ok"`
	Problem  string   `json:"problem,omitempty"`
	Log      string   `json:"log,omitempty"`
	Head     int64    `json:"head,omitempty"`
	SignedAt string   `json:"signed_at,omitempty"`
	Keys     []string `json:"keys,omitempty"`
	// Events is how many were checked, Event the one of a proof.
	Events int          `json:"events"`
	Event  *schema.Line `json:"event,omitempty"`
}

// Run checks. It reaches no server, and needs no configuration.
func (c *auditCheckCommand) Run(i *invocation) error {
	keys, err := trusting{Key: c.Key}.keys()
	if err != nil {
		return err
	}
	if !keys.Trusts() {
		return usagef("--key holds no key")
	}
	line, h, err := c.check(i.ctx, keys)
	if i.ctx.Err() != nil {
		return i.ctx.Err()
	}
	if err != nil {
		return c.refuse(i, err)
	}
	line.OK, line.Log, line.Head, line.SignedAt, line.Keys = true, h.Log, h.Number, h.At.Format(schema.TimeFormat), h.Keys
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	what := fmt.Sprintf("%d events are", line.Events)
	if line.Event != nil {
		what = fmt.Sprintf("event %s is at %s", line.Event.Event, line.Event.Position)
	}
	if _, err := fmt.Fprintf(i.stdout, "ok: %s in log %s, as head %d signed it at %s with %s\n", what, h.Log, h.Number, h.At.Format(time.DateTime), strings.Join(h.Keys, " and ")); err != nil || line.Event == nil {
		return err
	}
	return json.NewEncoder(i.stdout).Encode(line.Event)
}

// refuse says why nothing is proved.
func (c *auditCheckCommand) refuse(i *invocation, problem error) error {
	if !c.JSON {
		return fmt.Errorf("%s proves nothing: %w", c.Proof, problem)
	}
	if err := json.NewEncoder(i.stdout).Encode(checkedLine{Problem: problem.Error()}); err != nil {
		return err
	}
	return errProblemsFound
}

// mostProofBytes is more than any event takes with its proof: who checks has it from anybody.
const mostProofBytes = 64 << 20

// readProof reads a file, - for standard input, that may be anything.
func readProof(name string) (text []byte, err error) {
	file := os.Stdin
	if name != "-" {
		if file, err = os.Open(filepath.Clean(name)); err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // nothing was written
	}
	text, err = io.ReadAll(io.LimitReader(file, mostProofBytes+1))
	if err == nil && len(text) > mostProofBytes {
		err = fmt.Errorf("it is longer than any proof: %d bytes and more", mostProofBytes)
	}
	return text, err
}

func (c *auditCheckCommand) check(ctx context.Context, keys *proof.Keys) (checkedLine, proof.Head, error) {
	if info, err := os.Stat(c.Proof); err == nil && info.IsDir() {
		return checkExport(ctx, c.Proof, keys)
	}
	text, err := readProof(c.Proof)
	if err != nil {
		return checkedLine{}, proof.Head{}, err
	}
	p, err := proof.ParseProof(text)
	if err != nil {
		return checkedLine{}, proof.Head{}, err
	}
	checked, err := p.Check(keys)
	if err != nil {
		return checkedLine{}, checked.Head, err
	}
	shown := schema.Line{Position: p.Position, Partition: checked.Record.Partition, PartitionSeq: checked.Record.Seq, Event: checked.Record.ID, Data: json.RawMessage("{}")}
	if checked.Record.Broken == nil {
		shown, err = schema.NewStoredLine(checked.Record)
	}
	return checkedLine{Events: 1, Event: &shown}, checked.Head, err
}

// Files of an export.
const (
	exportEvents = "events.jsonl"
	exportHead   = "head.txt"
	exportKey    = "key.txt"
	exportReadme = "README.md"
	exportScript = "check.py"
)

// checkExport checks every line of an export.
func checkExport(ctx context.Context, directory string, keys *proof.Keys) (line checkedLine, h proof.Head, err error) {
	note, err := readProof(filepath.Join(directory, exportHead))
	if errors.Is(err, fs.ErrNotExist) {
		return line, h, fmt.Errorf("it has no %s, so it is no export, or one that was not finished: %w", exportHead, err)
	}
	if err != nil {
		return line, h, err
	}
	if h, err = keys.Open(note); err != nil {
		return line, h, err
	}
	file, err := os.Open(filepath.Join(filepath.Clean(directory), exportEvents))
	if err != nil {
		return line, h, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	in := bufio.NewScanner(file)
	in.Buffer(make([]byte, 1<<20), mostProofBytes)
	last := make(map[int]int64)
	for in.Scan() {
		if err := ctx.Err(); err != nil {
			return line, h, err
		}
		if err := checkExportLine(in.Bytes(), h, last); err != nil {
			return line, h, fmt.Errorf("line %d: %w", line.Events+1, err)
		}
		line.Events++
	}
	if err := in.Err(); err != nil {
		return line, h, fmt.Errorf("line %d cannot be read: %w", line.Events+1, err)
	}
	return line, h, nil
}

// checkExportLine checks one line, and notes it as the last of its partition.
func checkExportLine(text []byte, h proof.Head, last map[int]int64) error {
	event, err := proof.ParseExportLine(text)
	if err != nil {
		return err
	}
	r, err := event.Check(h)
	if err != nil {
		return err
	}
	if r.Seq <= last[r.Partition] {
		return fmt.Errorf("event %s comes again, or behind a later one", r.Position)
	}
	last[r.Partition] = r.Seq
	return nil
}
