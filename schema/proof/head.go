package proof

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mpim/domain"
	"mpim/schema"
)

// Head is the state of all partitions' trees at one moment.
type Head struct {
	// Log is the id of the log.
	Log string
	// Number is 1 for the first head of a log, and rises by one.
	Number int64
	// At is when it was signed, in milliseconds.
	At time.Time
	// Keys are the public keys that sign it, as [note.NewVerifier] takes them.
	Keys []string
	// Trees are those of the partitions, by their number.
	Trees []tlog.Tree
}

// headTitle is the first line of every head.
const headTitle = "mpim audit head v1"

// Text returns the head as it is signed: the title; log, number and time; a line for each key; and a line for each partition with
// its number, how many events it has, and the root in base64.
func (h Head) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nlog %s\nnumber %d\nat %s\n", headTitle, h.Log, h.Number, h.At.UTC().Format(schema.TimeFormat))
	for _, key := range h.Keys {
		fmt.Fprintf(&b, "key %s\n", key)
	}
	for partition, tree := range h.Trees {
		fmt.Fprintf(&b, "%d %d %s\n", partition, tree.N, tree.Hash)
	}
	return b.String()
}

var errHead = errors.New("this is no head of an mpim log")

// ParseHead reads what Text returns.
func ParseHead(text string) (Head, error) {
	h, err := parseHead(text)
	if err == nil && h.Text() != text {
		err = errors.New("it is not written as heads are")
	}
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return h, nil
}

func parseHead(text string) (h Head, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 5 || lines[0] != headTitle {
		return h, fmt.Errorf("its first line is not %q", headTitle)
	}
	var named [3]string
	for n, name := range []string{"log ", "number ", "at "} {
		value, ok := strings.CutPrefix(lines[n+1], name)
		if !ok || value == "" {
			return h, fmt.Errorf("line %d does not begin with %q", n+2, name)
		}
		named[n] = value
	}
	h.Log = named[0]
	if h.Number, err = strconv.ParseInt(named[1], 10, 64); err != nil || h.Number < 1 {
		return h, fmt.Errorf("its number is %q", named[1])
	}
	if h.At, err = time.Parse(schema.TimeFormat, named[2]); err != nil {
		return h, fmt.Errorf("its time: %w", err)
	}
	lines = lines[4:]
	for len(lines) > 0 && strings.HasPrefix(lines[0], "key ") {
		h.Keys, lines = append(h.Keys, strings.TrimPrefix(lines[0], "key ")), lines[1:]
	}
	if len(lines) == 0 || len(lines) > domain.MaxPartitions {
		return h, fmt.Errorf("it has %d partitions", len(lines))
	}
	for n, line := range lines {
		tree, err := parseTree(n, line)
		if err != nil {
			return h, fmt.Errorf("partition %d: %w", n, err)
		}
		h.Trees = append(h.Trees, tree)
	}
	return h, nil
}

// mostEvents is more than any partition ever has. Above 2^62 package tlog would not come to an end.
const mostEvents = 1 << 53

func parseTree(partition int, line string) (tree tlog.Tree, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 || fields[0] != strconv.Itoa(partition) {
		return tree, fmt.Errorf("the line is %q", line)
	}
	if tree.N, err = strconv.ParseInt(fields[1], 10, 64); err != nil || tree.N < 0 || tree.N > mostEvents {
		return tree, fmt.Errorf("the size is %q", fields[1])
	}
	tree.Hash, err = tlog.ParseHash(fields[2])
	return tree, err
}

// Sign returns the head as a note, signed with every key that is there to sign. It sets Keys.
func (k *Keys) Sign(h *Head) ([]byte, error) {
	if len(k.signers) == 0 {
		return nil, errors.New("there is no key to sign with")
	}
	h.Keys = k.Public()
	return note.Sign(&note.Note{Text: h.Text()}, k.signers...)
}

// UnknownKeyError says that none of the keys that are trusted has signed.
type UnknownKeyError struct {
	// Number is the head's, and Signed are the names of the keys that did sign, as the head itself says.
	Number int64
	Signed []string
}

// Error names the keys.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("head %d is signed with none of the keys that are trusted, but, as it says, with %s", e.Number, strings.Join(e.Signed, " and "))
}

// Open reads a signed head. The error is an [*UnknownKeyError] where no trusted key signed it, and any other where it is not a
// head or a signature is wrong.
func (k *Keys) Open(signed []byte) (Head, error) {
	n, err := note.Open(signed, k.verifiers)
	if unverified, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		h, err := ParseHead(unverified.Note.Text)
		if err != nil {
			return h, err
		}
		return h, &UnknownKeyError{Number: h.Number, Signed: h.Keys}
	}
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return ParseHead(n.Text)
}

// Untrusted reads a signed head without looking who signed it.
func Untrusted(signed []byte) (Head, error) {
	h, err := new(Keys).Open(signed)
	if _, ok := errors.AsType[*UnknownKeyError](err); ok {
		return h, nil
	}
	return h, err
}
