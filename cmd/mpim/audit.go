package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mpim/projections/audit"
	"mpim/schema"
	"mpim/schema/proof"
	"mpim/streams"
)

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Recompute every hash from the events to the signed heads."`
	Head   auditHeadCommand   `cmd:"" help:"Print the newest signed head, to keep elsewhere."`
	Prove  auditProveCommand  `cmd:"" help:"Print a proof that an event is in the log."`
	Check  auditCheckCommand  `cmd:"" help:"Check a proof or an export: with a public key, and no server."`
	Export auditExportCommand `cmd:"" help:"Write events with their proofs, for someone who has nothing else."`
	Key    auditKeyCommand    `cmd:"" help:"Make a key that signs heads."`
}

// trusting are the keys that a command trusts.
type trusting struct {
	Key []string `help:"Public key that is trusted to sign heads, or a file that holds some; may be repeated. By default those of MPIM_AUDIT_KEY or MPIM_AUTH_KEY." placeholder:"PUBKEY"`
}

// keys returns the keys that were given.
func (t trusting) keys() (*proof.Keys, error) {
	list := make([]string, len(t.Key))
	for n, key := range t.Key {
		if strings.Contains(key, "+") {
			list[n] = key
			continue
		}
		text, err := os.ReadFile(filepath.Clean(key))
		if err != nil {
			return nil, usagef("--key %s is neither a public key (name+hash+key) nor a file that holds some: %w", key, err)
		}
		list[n] = strings.Join(strings.Fields(string(text)), ",")
	}
	keys, err := proof.ParseKeys(strings.Join(list, ","))
	if err != nil {
		return nil, usagef("--key: %w", err)
	}
	return keys, nil
}

// trusted returns the keys that were given, else those that are configured, else those that the log's own servers name: these prove
// nothing against who can write there, so it is said.
func (s *stores) trusted(i *invocation, t trusting) (*proof.Keys, error) {
	if len(t.Key) > 0 {
		return t.keys()
	}
	if err := s.openAudit(i.settings, false); err != nil {
		return nil, err
	}
	if s.auditing.keys.Trusts() {
		return s.auditing.keys, nil
	}
	signed, err := streams.Witness{Client: s.redis}.Kept(i.ctx)
	if err == nil && signed == nil {
		signed, err = audit.Heads{DB: s.db}.Note(i.ctx)
	}
	if err != nil || signed == nil {
		return s.auditing.keys, err
	}
	h, err := proof.Untrusted(signed)
	if err != nil {
		return nil, err
	}
	i.logger.Warn("the public key is the one that the log's own servers name: give --key to trust nobody there", slog.Any("keys", h.Keys))
	return proof.ParseKeys(strings.Join(h.Keys, ","))
}

type auditHeadCommand struct {
	JSON bool          `help:"Print one JSON document."`
	Wait time.Duration `help:"How long to wait for the first head of a new log." default:"30s"`
	trusting
}

// headLine is what `audit head --json` prints.
type headLine struct {
	Log    string `json:"log"`
	Number int64  `json:"number"`
	At     string `json:"at"`
	// Keys are the public keys that signed, Note is the head as it was signed.
	Keys       []string   `json:"keys"`
	Partitions []treeLine `json:"partitions"`
	Note       string     `json:"note"`
}

// treeLine is the tree of one partition.
type treeLine struct {
	Partition int    `json:"partition"`
	Events    int64  `json:"events"`
	Root      string `json:"root"`
}

// Run prints the newest head as it was signed.
func (c *auditHeadCommand) Run(i *invocation) error {
	s, err := i.openAll()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	h, note, err := s.awaitHead(i, c.trusting, c.Wait, func(proof.Head) bool { return true })
	if err != nil {
		return explain("audit head", err)
	}
	if !c.JSON {
		_, err := i.stdout.Write(note)
		return err
	}
	line := headLine{Log: h.Log, Number: h.Number, At: h.At.Format(schema.TimeFormat), Keys: h.Keys, Note: string(note)}
	for partition, tree := range h.Trees {
		line.Partitions = append(line.Partitions, treeLine{Partition: partition, Events: tree.N, Root: tree.Hash.String()})
	}
	return json.NewEncoder(i.stdout).Encode(line)
}

// errUnsigned says that no head covers what was asked for.
var errUnsigned = errors.New("no signed head yet; one is signed every MPIM_AUDIT_SIGN_EVERY (10s) by the worker that archives: is one running, with MPIM_AUDIT_KEY or MPIM_AUTH_KEY?")

// awaitHead returns the newest head once there is one that will do.
func (s *stores) awaitHead(i *invocation, t trusting, wait time.Duration, enough func(proof.Head) bool) (proof.Head, []byte, error) {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		note, err := audit.Heads{DB: s.db}.Note(i.ctx)
		if err != nil {
			return proof.Head{}, nil, err
		}
		if note != nil {
			keys, err := s.trusted(i, t)
			if err != nil {
				return proof.Head{}, nil, err
			}
			if h, err := keys.Open(note); err != nil || enough(h) {
				return h, note, err
			}
		}
		select {
		case <-i.ctx.Done():
			return proof.Head{}, nil, i.ctx.Err()
		case <-limit.C:
			return proof.Head{}, nil, errUnsigned
		case <-ticker.C:
		}
	}
}

type auditKeyCommand struct {
	Name string `help:"What the key is called in signatures, such as your organisation; without spaces." default:"mpim-audit"`
	JSON bool   `help:"Print one JSON document."`
}

// keyLine is what `audit key --json` prints.
type keyLine struct {
	Private string `json:"private"`
	Public  string `json:"public"`
}

// Run prints a new pair of keys.
func (c *auditKeyCommand) Run(i *invocation) error {
	private, err := proof.NewKey(c.Name)
	if err != nil {
		return usageError{err}
	}
	public, err := proof.PublicKey(private)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(keyLine{Private: private, Public: public})
	}
	_, err = fmt.Fprintf(i.stdout, "private, for MPIM_AUDIT_KEY of the workers:\n%s\npublic, for everybody who checks:\n%s\n", private, public)
	return err
}
