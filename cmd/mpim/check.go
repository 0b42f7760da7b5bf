package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"mpim/schema/proof"
	"mpim/streams"
)

// checkText refuses a text that one of the flags could not take. Where says from where it came.
func checkText(flags []*kong.Flag, text, where string) error {
	for _, flag := range flags {
		// Files are looked for by the command that needs them.
		if flag.Tag.Type != "" {
			continue
		}
		target := reflect.New(flag.Target.Type()).Elem()
		token := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})
		if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: token}, target); err != nil {
			return fmt.Errorf("%s is %q: write %s", where, text, wanted(flag))
		}
		if err := checkValue(flag, target); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

// checkValue refuses what no part could work with: numbers outside the tags min and max, unknown names, weak keys.
func checkValue(flag *kong.Flag, value reflect.Value) error {
	for value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return nil
		}
		value = value.Elem()
	}
	switch v := value.Interface().(type) {
	case streams.Durability:
		return checkDurability(v)
	case time.Duration:
		if v < 0 {
			return fmt.Errorf("%s is negative: write %s", v, wanted(flag))
		}
	case int:
		low, high := bounds(flag)
		if v < low || v > high {
			return fmt.Errorf("%d is out of bounds: write %s", v, wanted(flag))
		}
	case string:
		if flag.Name == "auth-key" && v != "" && len(v) < authKeyBytes {
			return fmt.Errorf("the key is too short: write at least %d random bytes, such as `openssl rand -hex 32` prints", authKeyBytes)
		}
		if flag.Name == "audit-key" {
			if _, err := proof.ParseKeys(v); err != nil {
				return fmt.Errorf("%w: write what `mpim audit key` prints", err)
			}
		}
	}
	return nil
}

// authKeyBytes is the shortest key that signs tokens.
const authKeyBytes = 32

func checkDurability(d streams.Durability) error {
	if d == "replicated" {
		return errors.New("replicated is not there yet: write fsynced, which survives more, or appended")
	}
	_, err := streams.ParseDurability(string(d))
	return err
}

// wanted says what a flag takes.
func wanted(flag *kong.Flag) string {
	switch flag.Target.Interface().(type) {
	case slog.Level:
		return "debug, info, warn or error"
	case streams.Durability:
		return "appended or fsynced"
	case time.Duration:
		return "a time that is not negative, such as 20s or 1m30s"
	case bool:
		return "true or false"
	case int:
		low, high := bounds(flag)
		if high < maxInt {
			return fmt.Sprintf("a whole number from %d to %d", low, high)
		}
		if low > 0 {
			return fmt.Sprintf("a whole number of at least %d", low)
		}
		return "a whole number, 0 or more"
	}
	return "what `mpim config print --help` says"
}

const maxInt = int(^uint(0) >> 1)

// bounds returns what the tags min and max say; without them a number is not negative.
func bounds(flag *kong.Flag) (low, high int) {
	low, high = 0, maxInt
	if n, err := strconv.Atoi(flag.Tag.Get("min")); err == nil {
		low = n
	}
	if n, err := strconv.Atoi(flag.Tag.Get("max")); err == nil {
		high = n
	}
	return low, high
}

func isList(flag *kong.Flag) bool { return flag.Target.Kind() == reflect.Slice }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// suggest names the closest of the known names.
func suggest(name string, known []string) string {
	best, distance := "", 4
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ": `mpim config print` lists them"
	}
	return ": did you mean " + best + "?"
}

// editDistance is that of Levenshtein.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(previous[j+1]+1, row[j]+1, previous[j]+cost)
		}
	}
	return row[len(b)]
}
