package attest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// vexEntry is what a statement says of a vulnerability in one part of the image;
// the part "" is all of it.
type vexEntry struct {
	name, part string
	statement  *vexStatement
}

// entries are what a document says of the image, in the order in which later
// ones override earlier ones. Of two of the same time the worse one comes later.
func (d *vexDocument) entries(image vexImage) ([]vexEntry, error) {
	type matched struct {
		statement *vexStatement
		parts     []string
	}
	var all []matched
	count := 0
	for i := range d.statements {
		m := matched{statement: &d.statements[i]}
		for _, p := range d.about(m.statement, image) {
			if len(p.parts) == 0 {
				m.parts = append(m.parts, "")
			}
			m.parts = append(m.parts, p.parts...)
		}
		// A short statement can have many names and parts, which multiply.
		if count += len(m.parts) * len(m.statement.names); count > maxResults {
			return nil, errResults
		}
		all = append(all, m)
	}
	entries := make([]vexEntry, 0, count)
	for _, m := range all {
		for _, name := range m.statement.names {
			for _, part := range m.parts {
				entries = append(entries, vexEntry{name, part, m.statement})
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b vexEntry) int {
		return cmp.Or(a.statement.time.Compare(b.statement.time), cmp.Compare(a.statement.status, b.statement.status))
	})
	return entries, nil
}

// vexState is what holds of a vulnerability, part by part.
type vexState map[string]*vexStatement

// worst is the status of the vulnerability in the image: that of the worst part.
func (s vexState) worst() int {
	worst := 0
	for _, statement := range s {
		worst = max(worst, statement.status)
	}
	return worst
}

// vexStates are what holds of each vulnerability that a document names for the
// image, in the order of their first statements.
type vexStates struct {
	names  []string
	of     map[string]vexState
	effort int // in steps
}

// effortPerEntry is how many steps it takes to place an entry.
const effortPerEntry = 8

// readStates reads what an OpenVEX document says of the image. A statement about
// all of the image overrides what was said of its parts.
func readStates(document any, image vexImage) (*vexStates, error) {
	if err := image.check(); err != nil {
		return nil, err
	}
	doc, err := readVEX(document)
	if err != nil {
		return nil, err
	}
	entries, err := doc.entries(image)
	switch {
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, errors.New("expected an OpenVEX document that states something of the image's digest, got none")
	}
	states := &vexStates{of: make(map[string]vexState), effort: effortPerEntry * len(entries)}
	var names distinct
	for _, e := range entries {
		names.add(e.name)
		state := states.of[e.name]
		if state == nil || e.part == "" {
			state = vexState{}
			states.of[e.name] = state
		}
		state[e.part] = e.statement
	}
	states.names = names.all
	return states, nil
}

// withStatus returns the names of the vulnerabilities whose worst part has the
// status.
func (s *vexStates) withStatus(status string) worked {
	wanted := slices.Index(vexStatuses(), status)
	found := []any{}
	for _, name := range s.names {
		if s.of[name].worst() == wanted {
			found = append(found, name)
		}
	}
	return worked{found, s.effort}
}

// vexNamesOf implements openvex.notAffected and openvex.fixed.
func vexNamesOf(status string) func(any, vexImage) (any, error) {
	return func(document any, image vexImage) (any, error) {
		states, err := readStates(document, image)
		if err != nil {
			return nil, err
		}
		return states.withStatus(status), nil
	}
}

// vexStatus implements openvex.status.
func vexStatus(document any, image vexImage, name string) (any, error) {
	states, err := readStates(document, image)
	if err != nil {
		return nil, err
	}
	state, known := states.of[name]
	if !known {
		return worked{steps: states.effort}, fmt.Errorf("expected a statement about %q in the image, got none", clip(name, maxQuoted))
	}
	return worked{vexStatuses()[state.worst()], states.effort}, nil
}

// vexStatements implements openvex.statements.
func vexStatements(document any, image vexImage) (any, error) {
	states, err := readStates(document, image)
	if err != nil {
		return nil, err
	}
	var all []any
	for _, name := range states.names {
		state := states.of[name]
		for _, part := range slices.Sorted(maps.Keys(state)) {
			s := state[part]
			all = append(all, map[string]any{
				"vulnerability": name, "status": vexStatuses()[s.status], "justification": s.justification, "subcomponent": part, "time": s.time,
			})
		}
	}
	return worked{all, states.effort}, nil
}
