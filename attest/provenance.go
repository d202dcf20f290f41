package attest

import (
	"errors"
	"fmt"
)

// provenance is a SLSA provenance predicate of any version.
type provenance struct {
	cursor

	predicate map[string]any
	// definition and run are the parts of a predicate of version 1; nil for
	// another.
	definition, run map[string]any
}

// readProvenance tells the versions of SLSA provenance by their fields. A
// predicate that fits two, or none, is an error (TRUST R32).
func readProvenance(predicate any) (*provenance, error) {
	p := &provenance{}
	p.predicate = p.object(predicate, "the provenance")
	p.definition, p.run = p.part(p.predicate, "buildDefinition"), p.part(p.predicate, "runDetails")
	_, old := p.predicate["builder"]
	switch v1 := p.definition != nil || p.run != nil; {
	case p.err != nil:
		return nil, p.err
	case v1 && old:
		return nil, errors.New("expected SLSA provenance of one version, got the fields of two")
	case !v1 && !old:
		return nil, errors.New("expected SLSA provenance v0.1, v0.2 or v1, got neither builder nor buildDefinition")
	}
	return p, nil
}

func (p *provenance) first() bool { return p.definition == nil && p.run == nil }

// builder implements provenance.builder (SLSA v1 runDetails.builder.id, before
// builder.id).
func builder(predicate any) (any, error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return nil, err
	}
	of := p.run
	if p.first() {
		of = p.predicate
	}
	id := p.need(p.part(of, "builder"), "id")
	return id, prefix("builder", p.err)
}

// buildType implements provenance.buildType.
func buildType(predicate any) (any, error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return nil, err
	}
	kind := p.buildType()
	return kind, p.err
}

func (p *provenance) buildType() string {
	if !p.first() {
		return p.need(p.definition, "buildType")
	}
	if recipe := p.part(p.predicate, "recipe"); recipe != nil {
		return p.need(recipe, "type") // SLSA v0.1
	}
	return p.need(p.predicate, "buildType")
}

func prefix(where string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}
