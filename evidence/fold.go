package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// manifestNames are the names that readers of manifests know, whatever the kind:
// image-spec manifest.md, image-index.md and descriptor.md, Docker's schema 2, and
// what makes a document one of Docker's schema 1.
var manifestNames = [...]string{
	"schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject", "annotations",
	"digest", "size", "urls", "data", "platform", "architecture", "os", "os.version", "os.features", "variant", "features",
	"fsLayers", "history", "signatures", "name", "tag",
}

// checkFolding refuses a manifest of which a runtime may read another document
// than we do. Theirs read with encoding/json, which matches names whatever their
// case, by simple folding ("ſ" is "s" to it), and lets the last one win; we match
// by case (TRUST R3, R4). What annotations are called is the author's, and not
// looked at.
func checkFolding(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	token, err := d.Token()
	if err != nil {
		return err
	}
	return checkFolded(d, token)
}

// checkFolded reads the value that begins with token. Its depth is bounded:
// CheckJSON has seen it.
func checkFolded(d *json.Decoder, token json.Token) error {
	switch token {
	case json.Delim('{'):
		return checkFoldedObject(d)
	case json.Delim('['):
		for d.More() {
			next, err := d.Token()
			if err != nil {
				return err
			}
			if err := checkFolded(d, next); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	}
	return nil
}

func checkFoldedObject(d *json.Decoder) error {
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		for _, known := range manifestNames {
			if name != known && strings.EqualFold(name, known) {
				return fmt.Errorf("expected %q, got %q, which some readers take for it", known, clip(name))
			}
		}
		if name == "annotations" {
			var ignored json.RawMessage
			if err := d.Decode(&ignored); err != nil {
				return err
			}
			continue
		}
		next, err := d.Token()
		if err != nil {
			return err
		}
		if err := checkFolded(d, next); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// CheckNamesAlike refuses a JSON document in which two names of one object differ
// by case alone: a reader that matches names whatever their case, as encoding/json
// does, would read one of them for the other. CheckJSON comes first.
func CheckNamesAlike(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var open []map[string]string // folded names of each open object; nil for a list
	name := false                // the next text is a name
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode JSON: %w", err)
		}
		switch token {
		case json.Delim('{'):
			open, name = append(open, map[string]string{}), true
			continue
		case json.Delim('['):
			open, name = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if text, is := token.(string); is && name {
				names := open[len(open)-1]
				if other, found := names[folded(text)]; found {
					return fmt.Errorf("decode JSON: expected names that differ by more than case, got %q and %q", clip(other), clip(text))
				}
				names[folded(text)] = text
				name = false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// folded is one text for all that fold alike (Unicode simple folding).
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}
