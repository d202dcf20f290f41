package server

import (
	"errors"
	"fmt"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// checkAttestation asks for artifacts of some types at the images that a
// pattern means.
type checkAttestation struct {
	pattern string
	types   []checkType
}

type checkType struct {
	name       string
	where      string // its place in the request
	conditions jmes.Block
}

func parseAttestations(value any) ([]checkAttestation, error) {
	list, err := jsonObject{where: "the request", fields: map[string]any{"attestations": value}}.list("attestations", maxAttestations)
	if err != nil {
		return nil, err
	}
	var all []checkAttestation
	count := 0
	for i, v := range list {
		where := fmt.Sprintf("attestations[%d]", i)
		o, err := newObject(where, v, "imageReference", "type")
		if err != nil {
			return nil, err
		}
		pattern, err := o.text("imageReference")
		if err != nil {
			return nil, err
		}
		if pattern == "" {
			return nil, fmt.Errorf("image reference cannot be empty: %s", where)
		}
		types, err := o.list("type", maxTypes)
		if err != nil {
			return nil, err
		}
		if count += len(types); len(types) == 0 || count > maxTypes {
			return nil, fmt.Errorf("%s.type: expected one to %d types in all attestations, got %d", where, maxTypes, count)
		}
		a := checkAttestation{pattern: pattern}
		for j, v := range types {
			t, err := parseType(fmt.Sprintf("%s.type[%d]", where, j), v)
			if err != nil {
				return nil, err
			}
			a.types = append(a.types, t)
		}
		all = append(all, a)
	}
	return all, nil
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

// maxConditions bounds the conditions of one list: each is evaluated for each
// artifact.
const maxConditions = 100

// imagesLike selects the images that a pattern of the caller's means. It is
// only ever asked what to include.
type imagesLike struct {
	pattern string
	known   map[string]bool // of the request's own images, in all their spellings
}

var _ policy.ImagePattern = imagesLike{}

// Includes implements [policy.ImagePattern]: doubt includes.
func (p imagesLike) Includes(ref imageref.Reference) bool {
	if means, known := p.known[ref.Original()]; known {
		return means
	}
	return matches(p.pattern, spellings(ref))
}

// Excludes implements [policy.ImagePattern]: it excludes nothing.
func (imagesLike) Excludes(imageref.Reference) bool { return false }

// String returns the pattern.
func (p imagesLike) String() string { return p.pattern }

// extras are the artifacts that the request asks for beside the trust policy.
func (c *checkCall) extras() ([]engine.Extra, *failure) {
	var all []engine.Extra
	for _, a := range c.asked.attestations {
		images := imagesLike{pattern: a.pattern, known: map[string]bool{}}
		for _, i := range c.asked.images { // two of one reference may differ in their tags
			images.known[i.ref()] = images.known[i.ref()] || matches(a.pattern, i.spelled)
		}
		for _, t := range a.types {
			conditions, err := t.compile()
			if err != nil {
				return nil, notAcceptable("failed to create attestation list: " + t.where + ": " + err.Error())
			}
			all = append(all, engine.Extra{Images: images, Artifact: policy.Claim{
				Type: t.name, Quantifier: policy.EveryFound, Conditions: conditions, Where: t.where,
			}})
		}
	}
	return all, nil
}

// compile compiles what an artifact must say. A type without conditions asks
// that artifacts are there and signed.
func (t checkType) compile() ([]policy.Condition, error) {
	if t.conditions.Any == nil && t.conditions.All == nil {
		return nil, nil
	}
	// Kyverno resolves `{{ }}` itself, so that policies write `\{{ }}`.
	compiled, err := jmes.Compile([]jmes.Block{t.conditions}, jmes.Options{Escaped: true})
	if err != nil {
		return nil, err
	}
	return []policy.Condition{compiled}, nil
}
