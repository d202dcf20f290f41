package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what a policy file may hold. Kubernetes keeps objects below
// 1.5 MiB (etcd's default request limit); a file may hold several.
const (
	maxFileBytes = 4 << 20
	maxDocuments = 1000
	// maxDepth: the native kinds nest twelve deep, foreign ones about twenty.
	maxDepth = 64
	// maxNodes bounds a document with its aliases written out, against a few
	// lines that expand to billions.
	maxNodes = 100_000
)

// Kind names a kind of document.
type Kind struct{ APIVersion, Kind string }

// String returns "apiVersion Kind".
func (k Kind) String() string { return k.APIVersion + " " + k.Kind }

// Document is one object of a file. It is immutable and finite: aliases have
// been resolved and bounded, and no mapping has a key twice.
type Document struct {
	File string // as it was named; empty if it is not from a file
	Kind
	Namespace, Name string // of its metadata; may be empty

	root *yaml.Node
	item string // the path of root within its List, or ""
}

// header is what every Kubernetes object begins with.
type header struct {
	kind            Kind
	namespace, name string
}

// Parse splits a YAML or JSON file into its documents. A List is split into
// its items; empty documents are left out, and a file without another is an
// error: it may be about to be written (TRUST R48). The error is [Errors];
// documents without an error are returned beside it.
func Parse(file string, content []byte) ([]Document, error) {
	if len(content) > maxFileBytes {
		return nil, Errors{{File: file, Message: fmt.Sprintf("expected at most %d bytes, got %d", maxFileBytes, len(content))}}
	}
	var documents []Document
	var failed Errors
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for range maxDocuments {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			if len(documents) == 0 && len(failed) == 0 {
				failed = Errors{{File: file, Message: "expected at least one document, got none"}}
			}
			return documents, failed.Err()
		}
		if err != nil { // what follows cannot be split
			return documents, append(failed, syntaxError(file, err)).Err()
		}
		found, err := objects(file, &root)
		failed = append(failed, ErrorsOf(err, file)...)
		documents = append(documents, found...)
	}
	return nil, append(failed, &Error{File: file, Message: fmt.Sprintf("expected at most %d documents, got more", maxDocuments)}).Err()
}

// syntaxError moves the line that the YAML library puts in front of its
// message to where this package reports lines.
func syntaxError(file string, err error) *Error {
	e := &Error{File: file, Message: "expected YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if after, found := strings.CutPrefix(err.Error(), "yaml: line "); found {
		number, message, _ := strings.Cut(after, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			e.Line, e.Message = line, "expected YAML, near this line: "+message
		}
	}
	return e
}

func objects(file string, root *yaml.Node) ([]Document, error) {
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, nil
	}
	if top := root.Content[0]; top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
		return nil, nil // nothing but comments
	}
	c := checker{file: file, left: maxNodes}
	node := c.check(root.Content[0], "", 0)
	if len(c.failed) > 0 {
		return nil, c.failed
	}
	if h, err := headerOf(node); err == nil && h.kind == (Kind{"v1", "List"}) {
		return items(file, node)
	}
	document, err := newDocument(file, node, "")
	if err != nil {
		return nil, err
	}
	return []Document{document}, nil
}

// items splits what `kubectl get -o yaml` prints.
func items(file string, list *yaml.Node) ([]Document, error) {
	var documents []Document
	var failed Errors
	for key, value := range fields(list) {
		switch {
		case key.Value == "apiVersion" || key.Value == "kind" || key.Value == "metadata":
		case key.Value == "items" && value.Kind == yaml.SequenceNode:
			for i, node := range value.Content {
				document, err := newDocument(file, node, At("items", i))
				if err != nil {
					failed = append(failed, ErrorsOf(err, file)...)
					continue
				}
				documents = append(documents, document)
			}
		default:
			failed = append(failed, &Error{File: file, Line: key.Line, Path: key.Value, Message: "expected a List to hold a list of items, got this"})
		}
	}
	return documents, failed.Err()
}

func newDocument(file string, node *yaml.Node, item string) (Document, error) {
	d := Document{File: file, root: node, item: item}
	h, err := headerOf(node)
	if err != nil {
		return Document{}, Errors{d.Errorf("", "%s", err.Error())}
	}
	d.Kind, d.Namespace, d.Name = h.kind, h.namespace, h.name
	var failed Errors
	for _, required := range []struct{ path, value string }{
		{"apiVersion", h.kind.APIVersion}, {"kind", h.kind.Kind}, {"metadata.name", h.name},
	} {
		if required.value == "" {
			failed = append(failed, d.Errorf(required.path, "expected a string that is not empty, got none"))
		}
	}
	return d, failed.Err()
}

// headerOf reads what a Document needs before its kind is known. Values of the
// wrong type count as absent: they are reported when the document is decoded.
func headerOf(node *yaml.Node) (header, error) {
	if node.Kind != yaml.MappingNode {
		return header{}, fmt.Errorf("expected an object with apiVersion and kind, got %s", describe(node))
	}
	var h header
	for key, value := range fields(node) {
		switch key.Value {
		case "apiVersion":
			h.kind.APIVersion = text(value)
		case "kind":
			h.kind.Kind = text(value)
		case "metadata":
			for key, value := range fields(value) {
				switch key.Value {
				case "name":
					h.name = text(value)
				case "namespace":
					h.namespace = text(value)
				}
			}
		}
	}
	return h, nil
}

func text(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return n.Value
	}
	return ""
}
