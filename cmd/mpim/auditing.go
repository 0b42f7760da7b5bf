package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mpim/projections/archive"
	"mpim/projections/audit"
	"mpim/schema"
	"mpim/schema/proof"
	"mpim/streams"
)

var (
	_ audit.Witness  = streams.Witness{}
	_ archive.Signer = (*audit.Signer)(nil)
	_ audit.Stream   = streams.Reader{}
)

// auditing is how this process signs the heads of the log's trees, and whose signatures it trusts.
type auditing struct {
	// keys sign nothing where none are set.
	keys  *proof.Keys
	every time.Duration
}

// What a signing key is made of where none is set, so that it is another than those made of the same for other purposes.
const (
	auditFromAuth = "mpim: signs heads of the audit"
	auditFromLog  = "mpim dev: signs heads of the audit"
)

func (a auditing) signs() bool { return a.keys != nil && a.keys.Signs() }

// openAudit takes the keys that sign heads: what is set, else one made of the key that signs tokens, and in `mpim dev` one made of
// the log's own key. A process without any archives and signs nothing.
func (s *stores) openAudit(settings *Settings, dev bool) error {
	list, err := settings.AuditKey, error(nil)
	switch {
	case list != "":
	case settings.AuthKey != "" && !settings.ownAuthKey:
		list, err = proof.DeriveKey(proof.KeyName, []byte(settings.AuthKey), auditFromAuth)
	case dev:
		list, err = proof.DeriveKey(proof.KeyName+"-dev", s.identity.Key[:], auditFromLog)
	}
	if err != nil {
		return err
	}
	keys, err := proof.ParseKeys(list)
	if err != nil {
		return usagef("MPIM_AUDIT_KEY: %w", err)
	}
	s.auditing = auditing{keys: keys, every: max(settings.AuditSignEvery, time.Millisecond)}
	return nil
}

// newSigner returns what signs the heads of what is archived; nil where no key is set.
func (s *stores) newSigner() (archive.Signer, error) {
	if !s.auditing.signs() {
		return nil, nil
	}
	config := audit.Config{
		DB: s.db, Log: s.identity.ID, Partitions: s.identity.Partitions, Keys: s.auditing.keys, Every: s.auditing.every,
		Stream: s.reader(), Witness: streams.Witness{Client: s.redis}, Logger: s.logger,
	}
	if s.registry != nil {
		config.Registerer = s.registry
	}
	return audit.NewSigner(config)
}

// auditLate is above which events without a signature are a problem.
func (s *Settings) auditLate() time.Duration { return max(time.Minute, 3*s.AuditSignEvery) }

// examineAudit tells when archived events are not signed.
func (d *doctor) examineAudit(s *stores) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	found, do, err := d.headState(ctx, s)
	d.add("audit", found, do, err)
}

func (d *doctor) headState(ctx context.Context, s *stores) (found, do string, err error) {
	do = "look at the workers' logs for \"not signed\"; `mpim audit verify` says what is wrong with the trees"
	if err := s.openAudit(d.settings, false); err != nil {
		return "", "write the key as `mpim audit key` prints it", err
	}
	h, signed, err := audit.Heads{DB: s.db}.Newest(ctx, s.auditing.keys)
	if _, unknown := errors.AsType[*proof.UnknownKeyError](err); unknown && s.auditing.keys.Trusts() {
		return "", "if that was your key before, put it behind the new one in MPIM_AUDIT_KEY; if not, somebody else writes to the database", err
	} else if err != nil && !unknown {
		return "", do, err
	}
	waiting, oldest, err := s.unsigned(ctx, h)
	if err == nil && time.Since(oldest) > d.settings.auditLate() {
		err = fmt.Errorf("%d archived events are not signed, the oldest of %s", waiting, oldest.Format(time.DateTime))
		if !signed {
			do = "set MPIM_AUDIT_KEY on the workers to what `mpim audit key` prints, or MPIM_AUTH_KEY"
		}
	}
	found = "nothing is signed yet"
	if signed {
		found = fmt.Sprintf("head %d was signed at %s; %d archived events since", h.Number, h.At.Format(time.DateTime), waiting)
	}
	return found, do, err
}

// unsigned returns how many archived events no signed head covers, and when the oldest of them was appended: now, where there is none.
func (s *stores) unsigned(ctx context.Context, h proof.Head) (waiting int64, oldest time.Time, err error) {
	stored, oldest := archive.Archive{DB: s.db}, time.Now()
	states, err := stored.States(ctx)
	for _, state := range states {
		signed := int64(0)
		if state.Partition < len(h.Trees) {
			signed = h.Trees[state.Partition].N
		}
		if err != nil || state.VerifiedTo <= signed {
			continue
		}
		waiting += state.VerifiedTo - signed
		var records []*schema.Record
		if records, err = stored.After(ctx, state.Partition, signed); err != nil || len(records) == 0 {
			continue
		}
		// Events that were imported have times of their own; their addresses say when they came.
		if id, err := schema.ParseStreamID(records[0].StreamID); err == nil && time.UnixMilli(int64(id.Milliseconds)).Before(oldest) { //nolint:gosec // a time
			oldest = time.UnixMilli(int64(id.Milliseconds)).UTC() //nolint:gosec // a time
		}
	}
	return waiting, oldest, err
}
