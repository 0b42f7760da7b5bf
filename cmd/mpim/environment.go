package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFlag names the configuration file.
type configFlag string

// environment resolves settings from the variables MPIM_* and from the configuration file. It knows where each value came
// from, and refuses names that nothing has.
type environment struct {
	variables map[string]string
	file      string
	values    map[string]fileValue
}

// fileValue is one value of the configuration file.
type fileValue struct {
	text string
	line int
}

func newEnvironment(environ []string) *environment {
	e := &environment{variables: make(map[string]string)}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, "MPIM_") {
			e.variables[name] = value
		}
	}
	return e
}

// prepare reads the configuration file that the arguments or MPIM_CONFIG name, and checks every name.
func (e *environment) prepare(model *kong.Application, args []string) error {
	known := e.known(model)
	for name := range e.variables {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("the environment variable %s is no setting%s", name, suggest(name, known))
		}
	}
	e.file = configFile(args, e.variables["MPIM_CONFIG"])
	if e.file == "" {
		return nil
	}
	content, err := os.ReadFile(filepath.Clean(e.file))
	if err != nil {
		return fmt.Errorf("the configuration file cannot be read: %w", errors.Unwrap(unwrapPath(err)))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return fmt.Errorf("%s: %w", e.file, err)
	}
	e.values = make(map[string]fileValue)
	if len(document.Content) == 0 {
		return nil
	}
	if err := e.collect("", document.Content[0]); err != nil {
		return err
	}
	for key, value := range e.values {
		if _, ok := known[variableOf(key)]; !ok {
			return fmt.Errorf("%s:%d: %q is no setting%s", e.file, value.line, key, suggestKey(key, known))
		}
	}
	return nil
}

func unwrapPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%w", fmt.Errorf("%s: %w", path.Path, path.Err))
	}
	return fmt.Errorf("%w", err)
}

// collect flattens nested keys: limits: {send_burst: 5} is limits_send_burst.
func (e *environment) collect(prefix string, node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: want settings as `name: value`", e.file, node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := prefix+strings.ReplaceAll(node.Content[i].Value, "-", "_"), node.Content[i+1]
		switch value.Kind {
		case yaml.MappingNode:
			if err := e.collect(key+"_", value); err != nil {
				return err
			}
		case yaml.ScalarNode:
			e.values[key] = fileValue{text: value.Value, line: node.Content[i].Line}
		default:
			return fmt.Errorf("%s:%d: %q is a list: write one value", e.file, value.Line, key)
		}
	}
	return nil
}

// known returns every environment variable that some flag has, with the flag's name.
func (e *environment) known(model *kong.Application) map[string]string {
	known := make(map[string]string)
	var visit func(*kong.Node)
	visit = func(node *kong.Node) {
		for _, flag := range node.Flags {
			for _, name := range flag.Envs {
				known[name] = flag.Name
			}
		}
		for _, child := range node.Children {
			visit(child)
		}
	}
	visit(model.Node)
	return known
}

func configFile(args []string, fallback string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			return value
		}
		if arg == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return fallback
}

func variableOf(key string) string { return "MPIM_" + strings.ToUpper(key) }

// Validate is part of kong.Resolver; names were checked by prepare.
func (e *environment) Validate(*kong.Application) error { return nil }

// Resolve returns the value that the configuration file has for a flag. Kong itself has looked at the environment.
func (e *environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if value, ok := e.values[strings.ToLower(strings.TrimPrefix(name, "MPIM_"))]; ok {
			return value.text, nil
		}
	}
	return nil, nil
}

// given says whether a setting was set at all, by flag, environment or file.
func (e *environment) given(parsed *kong.Context, name string) bool {
	for _, flag := range parsed.Flags() {
		if flag.Name == name {
			return e.source(flag, onCommandLine(parsed)[flag]) != "default"
		}
	}
	return false
}

// onCommandLine returns the flags that the command line sets.
func onCommandLine(parsed *kong.Context) map[*kong.Flag]bool {
	given := make(map[*kong.Flag]bool)
	for _, path := range parsed.Path {
		if path.Flag != nil && !path.Resolved {
			given[path.Flag] = true
		}
	}
	return given
}

// source says where the value of a flag came from.
func (e *environment) source(flag *kong.Flag, given bool) string {
	if given {
		return "flag --" + flag.Name
	}
	for _, name := range flag.Envs {
		if _, ok := e.variables[name]; ok {
			return "environment " + name
		}
		key := strings.ToLower(strings.TrimPrefix(name, "MPIM_"))
		if value, ok := e.values[key]; ok {
			return fmt.Sprintf("%s:%d", e.file, value.line)
		}
	}
	return "default"
}

func suggest(name string, known map[string]string) string {
	best, distance := "", 4
	for candidate := range known {
		if d := editDistance(name, candidate); d < distance || d == distance && candidate < best {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ": `mpim config print` lists them"
	}
	return ": did you mean " + best + "?"
}

func suggestKey(key string, known map[string]string) string {
	keys := make(map[string]string, len(known))
	for name := range known {
		keys[strings.ToLower(strings.TrimPrefix(name, "MPIM_"))] = ""
	}
	return suggest(key, keys)
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
