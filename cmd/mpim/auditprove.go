package main

import (
	"fmt"
	"time"

	"mpim/projections/archive"
	"mpim/projections/audit"
	"mpim/schema/proof"
)

type auditProveCommand struct {
	What string        `arg:"" help:"A position (3:17) or an event id." name:"event|position"`
	Wait time.Duration `help:"How long to wait until a signed head covers it." default:"30s"`
	JSON bool          `help:"Accepted for scripts: a proof is one JSON document." hidden:""`
	trusting
}

// Run prints the proof.
func (c *auditProveCommand) Run(i *invocation) error {
	s, err := i.openAll()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	found, err := s.find(i, c.What)
	if err != nil {
		return explain("audit prove", err)
	}
	if found.Partition >= s.identity.Partitions || found.Seq < 1 {
		return fmt.Errorf("audit prove: %s is no place in the log", found.Position)
	}
	h, note, err := s.awaitHead(i, c.trusting, c.Wait, func(h proof.Head) bool {
		return found.Partition < len(h.Trees) && h.Trees[found.Partition].N >= found.Seq
	})
	if err != nil {
		return explain("audit prove", err)
	}
	// What is archived is what was signed.
	record, err := archive.Archive{DB: s.db}.At(i.ctx, found.Position)
	if err != nil {
		return explain("audit prove", err)
	}
	entry, err := audit.NewProver(s.db, h).Prove(i.ctx, record)
	if err != nil {
		return explain("audit prove", err)
	}
	text, err := proof.Proof{Entry: entry, Head: string(note)}.Text()
	if err != nil {
		return err
	}
	_, err = i.stdout.Write(text)
	return err
}
