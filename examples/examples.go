// Package examples holds the folders beside this file: ways in which teams
// verify images, each with its policies, what the cluster needs, and the
// pipeline that signs. Tests and the demo run these very files, so that none
// can rot. The package does what a reader does before running one: it puts a
// registry, keys and certificates in the place of the examples' own.
package examples

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The folders.
const (
	KyvernoProvenance = "kyverno-provenance"
	KyvernoChains     = "kyverno-chains"
	GatekeeperRatify  = "gatekeeper-ratify"
	GatekeeperCosign  = "gatekeeper-cosign"
	KyvernoExtension  = "kyverno-extension"
	NativeSigstore    = "native-sigstore"
)

// Files are the folders, by name.
//
//go:embed */*
var Files embed.FS

// Registry is the host that the examples name.
const Registry = "registry.example.com"

// Values are what a reader puts in the place of the examples' own.
type Values struct {
	// Registry takes the place of [Registry].
	Registry string
	// Keys take the place of the folder's public keys, in the order in which
	// these first appear in its files, sorted by path. PEM.
	Keys [][]byte
	// Certificates are as Keys, for certificates.
	Certificates [][]byte
	// Variables take the place of ${NAME}; a variable that is not among them
	// stays.
	Variables map[string]string
	// Text takes the place of other text, such as a service's address.
	Text map[string]string
}

// File is a file of an example, filled in.
type File struct {
	Name    string // its path below the folder
	Content []byte
}

// Fill returns the YAML files of a part of an example, such as "policy", sorted
// by name. A key or certificate for which there is no value is an error.
func Fill(folder, part string, v Values) ([]File, error) {
	entries, err := fs.ReadDir(Files, path.Join(folder, part))
	if err != nil {
		return nil, fmt.Errorf("read example: %w", err)
	}
	var files []File
	keys, certificates := blocks{kind: "PUBLIC KEY", values: v.Keys}, blocks{kind: "CERTIFICATE", values: v.Certificates}
	for _, e := range entries {
		if e.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, path.Ext(e.Name())) {
			continue
		}
		content, err := fs.ReadFile(Files, path.Join(folder, part, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read example: %w", err)
		}
		content = v.text(certificates.fill(keys.fill(content)))
		files = append(files, File{Name: path.Join(part, e.Name()), Content: content})
	}
	for _, b := range []blocks{keys, certificates} {
		if len(b.seen) > len(b.values) {
			return nil, fmt.Errorf("fill example %s: expected %d values for its blocks %s, got %d", folder, len(b.seen), b.kind, len(b.values))
		}
	}
	return files, nil
}

// text replaces everything but PEM. A variable that stands for several lines
// keeps the indentation of its own.
func (v Values) text(content []byte) []byte {
	if v.Registry != "" {
		content = bytes.ReplaceAll(content, []byte(Registry), []byte(v.Registry))
	}
	for name, value := range v.Variables {
		line := regexp.MustCompile(`(?m)^( *)(.*)\$\{` + regexp.QuoteMeta(name) + `\}`)
		content = line.ReplaceAllFunc(content, func(match []byte) []byte {
			groups := line.FindSubmatch(match)
			return slices.Concat(groups[1], groups[2], []byte(indent(value, string(groups[1]))))
		})
	}
	for old, replacement := range v.Text {
		content = bytes.ReplaceAll(content, []byte(old), []byte(replacement))
	}
	return content
}

// indent indents the lines after the first.
func indent(text, by string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by)
}

// blocks replaces PEM blocks of one kind, each distinct one by the next value.
type blocks struct {
	kind   string
	values [][]byte
	seen   []string
}

func (b *blocks) fill(content []byte) []byte {
	block := regexp.MustCompile(`(?m)^( *)-----BEGIN ` + b.kind + `-----\n(?: *[A-Za-z0-9+/=]+\n)+ *-----END ` + b.kind + `-----`)
	return block.ReplaceAllFunc(content, func(match []byte) []byte {
		margin := string(block.FindSubmatch(match)[1])
		id := strings.ReplaceAll(string(match), " ", "")
		i := slices.Index(b.seen, id)
		if i < 0 {
			i = len(b.seen)
			b.seen = append(b.seen, id)
		}
		if i >= len(b.values) {
			return match
		}
		return []byte(margin + indent(string(b.values[i]), margin))
	})
}
