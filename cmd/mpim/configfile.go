package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// fileValue is one value of the configuration file.
type fileValue struct {
	text string
	line int
	list bool
}

// readConfigFile returns the values of a YAML file by their keys: limits: {send_burst: 5} is limits_send_burst.
func readConfigFile(name string) (map[string]fileValue, error) {
	content, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		return nil, fmt.Errorf("the configuration file %s cannot be read: %w", name, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, yamlError(name, err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:%d: write one YAML document", name, more.Line)
	}
	values := make(map[string]fileValue)
	return values, collect(name, values, "", document.Content[0])
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// yamlError puts the line where an editor looks for it.
func yamlError(name string, err error) error {
	text := err.Error()
	if found := yamlLine.FindStringSubmatch(text); found != nil {
		return fmt.Errorf("%s:%s: %s", name, found[1], text[len(found[0]):])
	}
	return fmt.Errorf("%s: %w", name, err)
}

// collect flattens a mapping.
func collect(file string, values map[string]fileValue, prefix string, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: write settings as `name: value`", file, node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := prefix + strings.ReplaceAll(name.Value, "-", "_")
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Kind == yaml.MappingNode {
			if err := collect(file, values, key+"_", value); err != nil {
				return err
			}
			continue
		}
		one := fileValue{line: name.Line, list: value.Kind == yaml.SequenceNode}
		if before, ok := values[key]; ok {
			return fmt.Errorf("%s:%d: %s stands in line %d already", file, one.line, key, before.line)
		}
		var err error
		if one.text, err = textOf(value); err != nil {
			return fmt.Errorf("%s:%d: %s %w", file, one.line, key, err)
		}
		values[key] = one
	}
	return nil
}

// textOf returns a value as a flag would have it: lists are joined with commas.
func textOf(value *yaml.Node) (string, error) {
	if value.Kind == yaml.ScalarNode {
		if value.Tag == "!!null" {
			return "", errors.New("has no value: write one, or leave the line out")
		}
		return value.Value, nil
	}
	items := make([]string, len(value.Content))
	for n, item := range value.Content {
		if item.Kind != yaml.ScalarNode {
			return "", errors.New("is a list of lists: write plain values")
		}
		items[n] = item.Value
	}
	return strings.Join(items, ","), nil
}
