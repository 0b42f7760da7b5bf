package main

import (
	"bufio"
	_ "embed" // for what is said to who gets an export
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mpim/projections/audit"
	"mpim/schema"
	"mpim/schema/proof"
)

var (
	//go:embed export/README.md
	exportReadmeText string
	//go:embed export/check.py
	exportScriptText string
)

type auditExportCommand struct {
	Out  string        `help:"Directory to write, which must not be there or be empty." required:"" placeholder:"DIR"`
	Wait time.Duration `help:"How long to wait until a signed head covers all that is in the log now." default:"30s"`
	JSON bool          `help:"Print one JSON document about what was written."`
	trusting
	filters
}

// exportedLine is what `audit export --json` prints.
type exportedLine struct {
	Out    string `json:"out"`
	Events int    `json:"events"`
	// Unsigned is how many events matched and were left out, because no head signs them yet.
	Unsigned int      `json:"unsigned"`
	Head     int64    `json:"head"`
	Keys     []string `json:"keys"`
}

// Run writes the export.
func (c *auditExportCommand) Run(i *invocation) error {
	wanted, err := c.parse()
	if err != nil {
		return err
	}
	s, err := i.openAll()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := wanted.fit(s.identity.Partitions); err != nil {
		return err
	}
	if err := makeEmpty(c.Out); err != nil {
		return err
	}
	line, err := c.write(i, s, wanted)
	if err != nil {
		return explain("audit export", errors.Join(err, removeExport(c.Out)))
	}
	if line.Unsigned > 0 {
		fmt.Fprintf(i.stderr, "mpim: %d events that match are not signed yet and were left out; run it again in a moment\n", line.Unsigned)
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	_, err = fmt.Fprintf(i.stdout, "%d events with proofs in %s; check them with: mpim audit check %s --key '%s'\n", line.Events, c.Out, c.Out, line.Keys[0])
	return err
}

// write writes all files. The head comes behind the events: without it an export is none.
func (c *auditExportCommand) write(i *invocation, s *stores, wanted *chosen) (line exportedLine, err error) {
	h, note, err := c.awaitAll(i, s)
	if err != nil {
		return line, err
	}
	line = exportedLine{Out: c.Out, Head: h.Number, Keys: h.Keys}
	if err := c.writeEvents(i, s, wanted, h, &line); err != nil {
		return line, err
	}
	for name, content := range map[string]string{
		exportHead: string(note), exportKey: strings.Join(h.Keys, "\n") + "\n", exportReadme: exportReadmeText, exportScript: exportScriptText,
	} {
		if err := os.WriteFile(filepath.Join(c.Out, name), []byte(content), 0o600); err != nil {
			return line, err
		}
	}
	return line, nil
}

// removeExport takes away what was written of an export that was not finished, so that it can be run again.
func removeExport(directory string) error {
	var errs []error
	for _, name := range []string{exportHead, exportKey, exportReadme, exportScript, exportEvents} {
		if err := os.Remove(filepath.Join(directory, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// makeEmpty makes a directory, or takes one that is empty.
func makeEmpty(directory string) error {
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return usagef("--out: %w", err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return usagef("--out: %w", err)
	}
	if len(entries) > 0 {
		return usagef("--out %s is not empty: name another directory", directory)
	}
	return nil
}

// awaitAll returns a head that covers all that is in the log now, or else the newest.
func (c *auditExportCommand) awaitAll(i *invocation, s *stores) (proof.Head, []byte, error) {
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return proof.Head{}, nil, err
	}
	h, note, err := s.awaitHead(i, c.trusting, c.Wait, func(h proof.Head) bool {
		for partition, head := range heads {
			if partition >= len(h.Trees) || h.Trees[partition].N < head {
				return false
			}
		}
		return true
	})
	if errors.Is(err, errUnsigned) {
		return s.awaitHead(i, c.trusting, 0, func(proof.Head) bool { return true })
	}
	return h, note, err
}

func (c *auditExportCommand) writeEvents(i *invocation, s *stores, wanted *chosen, h proof.Head, line *exportedLine) (err error) {
	file, err := os.OpenFile(filepath.Join(filepath.Clean(c.Out), exportEvents), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriterSize(file, 1<<16)
	bar, err := s.progressOver(i, wanted.partitions(s.identity.Partitions))
	if err != nil {
		return err
	}
	defer bar.done()
	prover := provers{s: s, head: h, each: make(map[int]*audit.Prover)}
	for record, err := range s.replay(i, wanted) {
		if err != nil {
			return err
		}
		bar.step()
		if wanted.match(record) {
			wrote, err := prover.write(i, out, record)
			if err != nil {
				return err
			}
			if !wrote {
				line.Unsigned++
			} else if line.Events++; line.Events == c.Limit {
				break
			}
		}
		if wanted.past(record) {
			break
		}
	}
	return out.Flush()
}

// provers are one for each partition: a replay goes from one to the other and back.
type provers struct {
	s    *stores
	head proof.Head
	each map[int]*audit.Prover
}

// write writes the line of a record. It is false for one that no head signs yet.
func (p provers) write(i *invocation, out io.Writer, record *schema.Record) (bool, error) {
	prover := p.each[record.Partition]
	if prover == nil {
		prover = audit.NewProver(p.s.db, p.head)
		p.each[record.Partition] = prover
	}
	if !prover.Covers(record) {
		return false, nil
	}
	entry, err := prover.Prove(i.ctx, record)
	if err != nil {
		return false, err
	}
	line, err := proof.NewExportLine(record, entry)
	if err != nil {
		return false, err
	}
	return true, json.NewEncoder(out).Encode(line)
}
