package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Bounds on a request at /checkimages. A Pod is at most 1.5 MiB and each of its
// containers some hundred bytes; the rest is what people write by hand.
const (
	maxCheckImages     = 1000
	maxImageReferences = 100
	// maxName bounds names and references: an image reference is below 800
	// characters.
	maxName = 1024
)

// checkRequest is the body of a request, checked.
type checkRequest struct {
	patterns     []checkPattern // imageReferences; none means every image
	images       []checkImage
	trustPolicy  string
	attestations []checkAttestation
}

// parseCheck reads a body. Fields that it does not know are left out, as the
// service that this door stands in for does; a name that occurs twice, or is a
// known one but for its case, which that service would read, is refused.
func parseCheck(body []byte, parser imageref.Parser) (checkRequest, error) {
	var root any
	if err := evidence.DecodeJSON(body, &root); err != nil {
		return checkRequest{}, err
	}
	o, err := newObject("the request", root, "imageReferences", "images", "trustPolicy", "attestations", "metadata", "insecure")
	if err != nil {
		return checkRequest{}, err
	}
	var r checkRequest
	steps := []func() error{
		func() (err error) { r.images, err = parseImages(parser, o.field("images")); return err },
		func() error {
			texts, err := o.strings("imageReferences", maxImageReferences)
			for _, text := range texts {
				r.patterns = append(r.patterns, newCheckPattern(parser, text))
			}
			return err
		},
		func() (err error) { r.trustPolicy, err = o.text("trustPolicy"); return err },
		func() (err error) {
			r.attestations, err = parseAttestations(parser, o.field("attestations"))
			return err
		},
		func() error { return checkMetadata(o) },
		func() error { return o.boolean("insecure") },
		func() error { return r.checkMatching() },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return checkRequest{}, err
		}
	}
	return r, nil
}

// checkMetadata reads "metadata", a string that holds a JSON object of
// booleans, and drops it: a Pod's author can write it (TRUST R46).
func checkMetadata(o jsonObject) error {
	const prefix = "failed to marshal metadata value: "
	value, err := o.text("metadata")
	if err != nil || value == "" {
		return err
	}
	var verified map[string]bool
	if err := evidence.DecodeJSON([]byte(value), &verified); err != nil {
		return fmt.Errorf(prefix+"%w", err)
	}
	return nil
}

// parseImages reads Kyverno's variable: lists of containers by their names.
// Order: containers, initContainers, ephemeralContainers, each by name.
func parseImages(parser imageref.Parser, value any) ([]checkImage, error) {
	lists, err := newObject("images", value, listContainers, listInit, listEphemeral)
	if err != nil {
		return nil, err
	}
	var images []checkImage
	places := map[string]bool{}
	for _, list := range []string{listContainers, listInit, listEphemeral} {
		named, err := newObject("images."+list, lists.field(list))
		if err != nil {
			return nil, err
		}
		if len(images)+len(named.fields) > maxCheckImages {
			return nil, fmt.Errorf("expected at most %d images, got more", maxCheckImages)
		}
		for _, name := range slices.Sorted(maps.Keys(named.fields)) {
			image, err := parseImage(parser, list, name, named.fields[name])
			if err != nil {
				return nil, err
			}
			if places[image.pointer] {
				return nil, fmt.Errorf("images: expected each jsonPointer once, got %q again", clip(image.pointer, maxName))
			}
			places[image.pointer] = true
			images = append(images, image)
		}
	}
	if len(images) == 0 {
		return nil, errors.New("atleast one image must be provided")
	}
	return images, nil
}

// jsonObject reads a decoded object field by field.
type jsonObject struct {
	where  string
	fields map[string]any
}

// newObject refuses names that are known ones in another case: they would be
// left out here, and read by a laxer reader. Null is an object without fields.
func newObject(where string, value any, known ...string) (jsonObject, error) {
	fields, is := value.(map[string]any)
	if !is && value != nil {
		return jsonObject{}, fmt.Errorf("%s: expected an object, got %s", clip(where, maxName), kindOf(value))
	}
	for name := range fields {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return jsonObject{}, fmt.Errorf("%s: expected %q, got it as %q", clip(where, maxName), k, name)
			}
		}
	}
	return jsonObject{where: where, fields: fields}, nil
}

// field returns a field's value; nil if it is absent or null.
func (o jsonObject) field(name string) any { return o.fields[name] }

func (o jsonObject) wrong(name, expected string, got any) error {
	return fmt.Errorf("%s.%s: expected %s, got %s", clip(o.where, maxName), name, expected, kindOf(got))
}

// text returns a string of at most maxName bytes, or more for what holds JSON.
func (o jsonObject) text(name string) (string, error) {
	switch v := o.fields[name].(type) {
	case nil:
		return "", nil
	case string:
		if len(v) > maxName && name != "metadata" {
			return "", fmt.Errorf("%s.%s: expected at most %d bytes, got %d", clip(o.where, maxName), name, maxName, len(v))
		}
		return v, nil
	default:
		return "", o.wrong(name, "a string", v)
	}
}

func (o jsonObject) boolean(name string) error {
	switch v := o.fields[name].(type) {
	case nil, bool:
		return nil
	default:
		return o.wrong(name, "true or false", v)
	}
}

func (o jsonObject) list(name string, most int) ([]any, error) {
	value := o.fields[name]
	list, is := value.([]any)
	switch {
	case !is && value != nil:
		return nil, o.wrong(name, "a list", value)
	case len(list) > most:
		return nil, fmt.Errorf("%s.%s: expected at most %d, got %d", clip(o.where, maxName), name, most, len(list))
	}
	return list, nil
}

func (o jsonObject) strings(name string, most int) ([]string, error) {
	list, err := o.list(name, most)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(list))
	for i, v := range list {
		s, is := v.(string)
		if !is || len(s) > maxName {
			return nil, o.wrong(fmt.Sprintf("%s[%d]", name, i), fmt.Sprintf("a string of at most %d bytes", maxName), v)
		}
		texts[i] = s
	}
	return texts, nil
}

// kindOf says what a value is without repeating it.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case int64, float64, json.Number:
		return "a number"
	}
	return "another value"
}
