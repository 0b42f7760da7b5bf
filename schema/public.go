package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"mpim/domain"
)

// What the tag mpim of a fact's member can say: that it never leaves the log, and that it is personal and stored sealed.
const (
	secretTag = "secret"
	sealedTag = "sealed"
)

// secrets names, for each type that has any, the JSON members that never leave the log.
var secrets = make(map[domain.EventType][]string)

func init() {
	for name, t := range registry {
		if members := taggedMembers(reflect.TypeOf(t.new()).Elem(), secretTag); len(members) > 0 {
			secrets[name] = members
		}
	}
}

// taggedMembers returns the JSON names of a fact's members that have the tag. Only a fact's own members can: one inside another
// struct would be shown, so it is refused when the program starts.
func taggedMembers(fact reflect.Type, tag string) []string {
	var members []string
	for _, field := range reflect.VisibleFields(fact) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if slices.Contains(strings.Split(field.Tag.Get("mpim"), ","), tag) {
			members = append(members, name)
		}
		if len(field.Index) > 1 && field.Tag.Get("mpim") != "" {
			panic(fmt.Sprintf("%v.%s: a secret or sealed member must be one of the fact itself", fact, field.Name))
		}
	}
	return members
}

// Public returns the data of the event as anybody outside may see it: in the newest version of its type, without
// secrets. A type that this binary does not know is an error, since it may hold some.
func (r *Record) Public() (json.RawMessage, error) {
	data, err := r.NewestData()
	if err != nil {
		return nil, err
	}
	return withoutSecrets(r.Type, data)
}

func withoutSecrets(name domain.EventType, data json.RawMessage) (json.RawMessage, error) {
	secret := secrets[name]
	if len(secret) == 0 {
		return data, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, fmt.Errorf("take the secrets out of %s: %w", name, err)
	}
	for member := range members {
		for _, hidden := range secret {
			// A decoder that takes no notice of case would read it in any spelling.
			if strings.EqualFold(member, hidden) {
				delete(members, member)
			}
		}
	}
	public, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("take the secrets out of %s: %w", name, err)
	}
	return public, nil
}
