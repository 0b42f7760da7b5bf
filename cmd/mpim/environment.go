package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// configFlag names the configuration file.
type configFlag string

const variablePrefix = "MPIM_"

// environment resolves settings from the variables MPIM_* and from the configuration file. It knows where each value came
// from, and refuses names that nothing has and values that do not parse. A variable that is empty is as good as none.
type environment struct {
	variables map[string]string
	file      string
	values    map[string]fileValue
}

func newEnvironment(environ []string) *environment {
	e := &environment{variables: make(map[string]string)}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, variablePrefix) {
			e.variables[name] = value
		}
	}
	return e
}

// prepare reads the configuration file that the arguments or MPIM_CONFIG name, and checks every name and every value.
func (e *environment) prepare(model *kong.Application, args []string) error {
	known := flagsByVariable(model)
	for _, name := range sortedKeys(e.variables) {
		flags, ok := known[name]
		if !ok {
			return fmt.Errorf("the environment variable %s is no setting%s", name, suggest(name, sortedKeys(known)))
		}
		if e.variables[name] == "" {
			continue
		}
		if err := checkText(flags, e.variables[name], "the environment variable "+name); err != nil {
			return err
		}
	}
	e.file = configFile(args, e.variables["MPIM_CONFIG"])
	if e.file == "" {
		return nil
	}
	var err error
	if e.values, err = readConfigFile(e.file); err != nil {
		return err
	}
	delete(known, "MPIM_CONFIG")
	keys := sortedKeys(e.values)
	slices.SortStableFunc(keys, func(a, b string) int { return e.values[a].line - e.values[b].line })
	for _, key := range keys {
		value := e.values[key]
		flags, ok := known[variableOf(key)]
		if !ok {
			return fmt.Errorf("%s:%d: %q is no setting%s", e.file, value.line, key, suggest(key, keysOf(known)))
		}
		if value.list && !isList(flags[0]) {
			return fmt.Errorf("%s:%d: %s is a list: write one value", e.file, value.line, key)
		}
		if err := checkText(flags, value.text, fmt.Sprintf("%s:%d: %s", e.file, value.line, key)); err != nil {
			return err
		}
	}
	return nil
}

// checkGiven checks the values that the command line itself gives.
func (e *environment) checkGiven(parsed *kong.Context) error {
	given := onCommandLine(parsed)
	for _, flag := range parsed.Flags() {
		if !given[flag] {
			continue
		}
		if err := checkValue(flag, flag.Target); err != nil {
			return fmt.Errorf("--%s: %w", flag.Name, err)
		}
	}
	return nil
}

// flagsByVariable returns the flags behind each environment variable: commands may share one.
func flagsByVariable(model *kong.Application) map[string][]*kong.Flag {
	known := make(map[string][]*kong.Flag)
	var visit func(*kong.Node)
	visit = func(node *kong.Node) {
		for _, flag := range node.Flags {
			for _, name := range flag.Envs {
				known[name] = append(known[name], flag)
			}
		}
		for _, child := range node.Children {
			visit(child)
		}
	}
	visit(model.Node)
	return known
}

// configFile returns the last --config of the arguments.
func configFile(args []string, fallback string) string {
	file := fallback
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			file = value
		}
		if arg == "--config" && i+1 < len(args) {
			file = args[i+1]
		}
	}
	return file
}

// variableOf and keyOf lead from a key of the file to its variable and back.
func variableOf(key string) string { return variablePrefix + strings.ToUpper(key) }

func keyOf(variable string) string {
	return strings.ToLower(strings.TrimPrefix(variable, variablePrefix))
}

func keysOf(known map[string][]*kong.Flag) []string {
	keys := sortedKeys(known)
	for n, name := range keys {
		keys[n] = keyOf(name)
	}
	return keys
}

// Validate is part of kong.Resolver; names and values were checked by prepare.
func (e *environment) Validate(*kong.Application) error { return nil }

// Resolve returns what the environment has for a flag that the command line does not set, else what the file has.
func (e *environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if text, _, ok := e.lookup(flag); ok {
		return text, nil
	}
	return nil, nil
}

// lookup returns the text that the environment or the file has for a flag, and where it stands.
func (e *environment) lookup(flag *kong.Flag) (text, source string, ok bool) {
	for _, name := range flag.Envs {
		if value := e.variables[name]; value != "" {
			return value, "environment " + name, true
		}
		if value, ok := e.values[keyOf(name)]; ok {
			return value.text, fmt.Sprintf("%s:%d", e.file, value.line), true
		}
	}
	return "", "default", false
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
	_, source, _ := e.lookup(flag)
	return source
}
