package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mpim/projections/audit"
	"mpim/schema"
	"mpim/streams"
)

type auditVerifyCommand struct {
	JSON    bool     `help:"Print one JSON document."`
	Against []string `help:"A head that was kept earlier, as audit head printed it: the log has to extend it. May be repeated." placeholder:"FILE"`
	Since   string   `help:"Verify only what came after the head in this file, and put the newest one there if all is well. Without the file all is verified, and it is made." placeholder:"FILE"`
	trusting
}

// verifyLine is what `audit verify --json` prints.
type verifyLine struct {
	OK bool `json:"ok"`
	// Head is the number of the newest signed head, 0 for none.
	Head       int64          `json:"head"`
	SignedAt   string         `json:"signed_at,omitempty"`
	Partitions []verifiedLine `json:"partitions"`
	Problems   []problemLine  `json:"problems"`
}

// verifiedLine is one partition: the events that the newest head signs, and the root that was computed of them.
type verifiedLine struct {
	treeLine
	// Archived is how many events the archive has, Log how many the log has.
	Archived int64 `json:"archived"`
	Log      int64 `json:"log"`
}

// problemLine is one problem. A head is of all partitions, so its problems have none.
type problemLine struct {
	Partition *int   `json:"partition"`
	Position  string `json:"position"`
	What      string `json:"what"`
}

// Run verifies the log, and exits with 1 on any problem.
func (c *auditVerifyCommand) Run(i *invocation) error {
	s, err := i.openAll()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	verifier, err := c.verifier(i, s)
	if err != nil {
		return err
	}
	bar := &sharedProgress{progress: newFinalProgress(i, "verifying")}
	if bar.total, err = s.archivedEvents(i); err != nil {
		return err
	}
	verifier.Step = bar.add
	report, err := verifier.Verify(i.ctx)
	bar.done()
	if err != nil {
		return explain("audit verify", err)
	}
	if err := c.print(i, report); err != nil {
		return err
	}
	if !report.OK() {
		return errProblemsFound
	}
	if c.Since != "" && report.Note != nil {
		if err := replaceFile(c.Since, report.Note); err != nil {
			return fmt.Errorf("--since: all is well, and the head could not be kept: %w", err)
		}
	}
	return nil
}

func (c *auditVerifyCommand) verifier(i *invocation, s *stores) (*audit.Verifier, error) {
	keys, err := s.trusted(i, c.trusting)
	if err != nil {
		return nil, err
	}
	v := &audit.Verifier{
		DB: s.db, Log: s.identity.ID, Partitions: s.identity.Partitions, Keys: keys, Stream: s.reader(),
		Witness: streams.Witness{Client: s.redis}, Late: i.settings.auditLate(),
	}
	for _, name := range c.Against {
		signed, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			return nil, usagef("--against: %w", err)
		}
		v.Against = append(v.Against, audit.KeptHead{Name: name, Signed: signed})
	}
	if c.Since != "" {
		signed, err := os.ReadFile(filepath.Clean(c.Since))
		if err == nil {
			v.Since = &audit.KeptHead{Name: c.Since, Signed: signed}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("--since: %w", err)
		}
	}
	return v, nil
}

// archivedEvents returns how many events there are to verify.
func (s *stores) archivedEvents(i *invocation) (total int64, err error) {
	states, err := s.archivedTo(i.ctx)
	for _, state := range states {
		total += state.ArchivedTo
	}
	return total, err
}

func (c *auditVerifyCommand) print(i *invocation, report *audit.Report) error {
	line := verifyLine{OK: report.OK(), Problems: []problemLine{}}
	if report.Newest != nil {
		line.Head, line.SignedAt = report.Newest.Number, report.Newest.At.Format(schema.TimeFormat)
	}
	for _, p := range report.Partitions {
		line.Partitions = append(line.Partitions, verifiedLine{
			treeLine: treeLine{Partition: p.Partition, Events: p.Events, Root: p.Root.String()}, Archived: p.Archived, Log: max(p.Head, p.Archived),
		})
	}
	for _, p := range report.Problems {
		problem := problemLine{Position: p.Position, What: p.What}
		if p.Partition >= 0 {
			problem.Partition = &p.Partition
		}
		line.Problems = append(line.Problems, problem)
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	return c.tell(i, report, line)
}

// tell prints the report for people.
func (c *auditVerifyCommand) tell(i *invocation, report *audit.Report, line verifyLine) error {
	for _, p := range line.Problems {
		fmt.Fprintf(i.stdout, "%-9s %s\n", p.Position, p.What)
	}
	var signed, all int64
	for _, p := range line.Partitions {
		signed, all = signed+p.Events, all+p.Log
	}
	if !line.OK {
		_, err := fmt.Fprintf(i.stdout, "problems: %d\n", len(line.Problems))
		return err
	}
	if report.Newest == nil {
		_, err := fmt.Fprintln(i.stdout, "ok, but nothing is signed yet: nothing is proved")
		return err
	}
	_, err := fmt.Fprintf(i.stdout, "ok: %d events are those that head %d signed at %s; %d came since\n", signed, line.Head,
		report.Newest.At.Format(time.DateTime), all-signed)
	return err
}

// replaceFile puts content in the place of a file, whole or not at all.
func replaceFile(name string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
