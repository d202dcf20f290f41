package server

import (
	"errors"
	"fmt"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/imageref"
)

// checkAttestation asks for artifacts of some types at the images that a
// pattern means.
type checkAttestation struct {
	pattern checkPattern
	types   []checkType
}

type checkType struct {
	name       string
	where      string // its place in the request
	conditions jmes.Block
}

// Bounds on what a request may ask of attestations. The policies in use ask for a
// handful of types by a handful of conditions, in some KiB.
const (
	maxAttestations = 100
	// maxTypes bounds all types of all attestations: each is looked for.
	maxTypes = 200
	// maxConditions bounds all conditions of all types: each is compiled, and
	// evaluated for each artifact.
	maxConditions = 100
	// maxAttestationBytes bounds all attestations as they are kept until the
	// images are decided: their texts, and valueBytes for each value. It leaves
	// room for a list of some thousand licences.
	maxAttestationBytes = 256 << 10
	// valueBytes: a value in memory takes an interface beside what it refers to.
	valueBytes = 16
)

// weigh returns how many bytes of a decoded value count.
func weigh(value any) int {
	n := valueBytes
	switch v := value.(type) {
	case string:
		n += len(v)
	case []any:
		for _, element := range v {
			n += weigh(element)
		}
	case map[string]any:
		for name, element := range v {
			n += len(name) + weigh(element)
		}
	}
	return n
}

func parseAttestations(parser imageref.Parser, value any) ([]checkAttestation, error) {
	if n := weigh(value); n > maxAttestationBytes {
		return nil, fmt.Errorf("attestations: expected at most %d bytes, got %d", maxAttestationBytes, n)
	}
	list, err := jsonObject{where: "the request", fields: map[string]any{"attestations": value}}.list("attestations", maxAttestations)
	if err != nil {
		return nil, err
	}
	var all []checkAttestation
	types, conditions := 0, 0
	for i, v := range list {
		a, err := parseAttestation(parser, fmt.Sprintf("attestations[%d]", i), v)
		if err != nil {
			return nil, err
		}
		types += len(a.types)
		for _, t := range a.types {
			conditions += len(t.conditions.Any) + len(t.conditions.All)
		}
		if types > maxTypes || conditions > maxConditions {
			return nil, fmt.Errorf("attestations: expected at most %d types and %d conditions in all attestations, got more", maxTypes, maxConditions)
		}
		all = append(all, a)
	}
	return all, nil
}

func parseAttestation(parser imageref.Parser, where string, value any) (checkAttestation, error) {
	o, err := newObject(where, value, "imageReference", "type")
	if err != nil {
		return checkAttestation{}, err
	}
	pattern, err := o.text("imageReference")
	if err != nil {
		return checkAttestation{}, err
	}
	if pattern == "" {
		return checkAttestation{}, fmt.Errorf("image reference cannot be empty: %s", where)
	}
	types, err := o.list("type", maxTypes)
	if err != nil {
		return checkAttestation{}, err
	}
	if len(types) == 0 {
		return checkAttestation{}, fmt.Errorf("%s.type: expected one to %d types, got none", where, maxTypes)
	}
	a := checkAttestation{pattern: newCheckPattern(parser, pattern)}
	for j, v := range types {
		t, err := parseType(fmt.Sprintf("%s.type[%d]", where, j), v)
		if err != nil {
			return checkAttestation{}, err
		}
		a.types = append(a.types, t)
	}
	return a, nil
}

func parseType(where string, value any) (checkType, error) {
	o, err := newObject(where, value, "name", "conditions")
	if err != nil {
		return checkType{}, err
	}
	t := checkType{where: where}
	if t.name, err = o.text("name"); err != nil {
		return checkType{}, err
	}
	if t.name == "" {
		return checkType{}, fmt.Errorf("attestation name cannot be empty: %s", where)
	}
	t.conditions, err = parseConditions(where+".conditions", o.field("conditions"))
	return t, err
}

// parseConditions reads one block of Kyverno's conditions. A list that is there
// and empty stays apart from one that is absent: the compiler refuses it.
func parseConditions(where string, value any) (jmes.Block, error) {
	o, err := newObject(where, value, "any", "all")
	if err != nil {
		return jmes.Block{}, err
	}
	var b jmes.Block
	for _, list := range []struct {
		name string
		into *[]jmes.Test
	}{{"any", &b.Any}, {"all", &b.All}} {
		if *list.into, err = parseTests(o, list.name); err != nil {
			return jmes.Block{}, err
		}
	}
	return b, nil
}

func parseTests(o jsonObject, name string) ([]jmes.Test, error) {
	if o.field(name) == nil {
		return nil, nil
	}
	list, err := o.list(name, maxConditions)
	if err != nil {
		return nil, err
	}
	tests := make([]jmes.Test, len(list))
	for i, v := range list {
		where := fmt.Sprintf("%s.%s[%d]", o.where, name, i)
		c, err := newObject(where, v, "key", "operator", "value", "message")
		if err != nil {
			return nil, err
		}
		t := jmes.Test{Key: c.field("key"), Value: c.field("value")}
		if t.Key == nil || t.Key == "" {
			return nil, errors.New("condition key cannot be empty: " + where)
		}
		if t.Value == nil {
			return nil, errors.New("condition value cannot be empty: " + where)
		}
		if t.Operator, err = c.text("operator"); err != nil {
			return nil, err
		}
		if t.Message, err = c.text("message"); err != nil {
			return nil, err
		}
		tests[i] = t
	}
	return tests, nil
}
