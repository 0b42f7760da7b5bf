package streams

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// outcome is what the script says of one command.
type outcome struct {
	kind byte // o, d, c, s or g: see append.lua
	// partitionSeq, seq and the ordinal or, for a duplicate, the time of the first request in milliseconds.
	partitionSeq, seq, third int64
}

// parseOutcomes reads the script's answer to a batch of n commands.
func parseOutcomes(answer string, n int) ([]outcome, error) {
	words := strings.Split(answer, ";")
	if len(words) != n {
		return nil, fmt.Errorf("the append script answered %d commands of %d", len(words), n)
	}
	outcomes := make([]outcome, n)
	for i, word := range words {
		o, err := parseOutcome(word)
		if err != nil {
			return nil, err
		}
		outcomes[i] = o
	}
	return outcomes, nil
}

func parseOutcome(word string) (outcome, error) {
	bad := fmt.Errorf("the append script answered %q", word)
	if word == "" {
		return outcome{}, bad
	}
	o := outcome{kind: word[0]}
	switch o.kind {
	case 'c', 's', 'g':
		return o, nil
	case 'o', 'd':
	default:
		return o, bad
	}
	numbers := strings.Split(word[1:], " ")
	if len(numbers) != 3 {
		return o, bad
	}
	for i, target := range []*int64{&o.partitionSeq, &o.seq, &o.third} {
		n, err := strconv.ParseInt(numbers[i], 10, 64)
		if err != nil {
			return o, bad
		}
		*target = n
	}
	return o, nil
}

// appended turns the outcome into what Append returns.
func (o outcome) appended(command *encoded, c domain.Commit) (domain.Appended, error) {
	result := domain.Appended{
		Position: domain.Position{Partition: command.partition, Seq: o.partitionSeq},
		Seq:      domain.Seq(o.seq),
	}
	switch o.kind {
	case 'o':
		result.Ordinal, result.At = o.third, c.At
		result.Event = command.event
		return result, nil
	case 'd':
		result.At, result.Duplicate = time.UnixMilli(o.third).UTC(), true
		result.Event = schema.RequestEventID(c.Request.Key, result.At)
		return result, nil
	case 'c':
		return domain.Appended{}, conflict()
	case 'g':
		return domain.Appended{}, domain.Errorf(domain.FailedPrecondition, "the timer was cancelled or has fired")
	default:
		return domain.Appended{}, domain.ErrStale
	}
}
