package attest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// helper is a function of this package in the language of conditions.
// docs/conditions.md lists them.
type helper struct {
	name   string
	args   []*cel.Type // beside the document, which comes first
	result *cel.Type
	call   func(document any, args []ref.Val) (any, error)
}

// only adapts a function that takes nothing but the document.
func only(f func(any) (any, error)) func(any, []ref.Val) (any, error) {
	return func(document any, _ []ref.Val) (any, error) { return f(document) }
}

func allHelpers() []helper {
	texts := cel.ListType(cel.StringType)
	image := []*cel.Type{cel.MapType(cel.StringType, cel.StringType)}
	return []helper{
		{"sbom.packages", nil, cel.ListType(cel.MapType(cel.StringType, cel.DynType)), only(packages)},
		{"sbom.licenses", nil, texts, only(licenses)},
		{"sbom.hasPackage", []*cel.Type{cel.StringType}, cel.BoolType, func(document any, args []ref.Val) (any, error) {
			return hasPackage(document, textOf(args[0]), nil)
		}},
		{"sbom.hasPackage", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, func(document any, args []ref.Val) (any, error) {
			version := textOf(args[1])
			return hasPackage(document, textOf(args[0]), &version)
		}},
		{"scan.severities", nil, texts, only(scanSeverities)},
		{"scan.highest", nil, cel.StringType, func(document any, _ []ref.Val) (any, error) { return scanHighest(document, nil) }},
		{"scan.highest", []*cel.Type{texts}, cel.StringType, func(document any, args []ref.Val) (any, error) {
			except, err := textsOf(args[0])
			if err != nil {
				return nil, err
			}
			return scanHighest(document, except)
		}},
		{"scan.atMost", []*cel.Type{cel.StringType}, cel.BoolType, func(document any, args []ref.Val) (any, error) {
			return scanAtMost(document, textOf(args[0]), nil)
		}},
		{"scan.atMost", []*cel.Type{cel.StringType, texts}, cel.BoolType, func(document any, args []ref.Val) (any, error) {
			except, err := textsOf(args[1])
			if err != nil {
				return nil, err
			}
			return scanAtMost(document, textOf(args[0]), except)
		}},
		{"scan.cves", nil, texts, only(scanCVEs)},
		{"scan.age", []*cel.Type{cel.TimestampType}, cel.DurationType, func(document any, args []ref.Val) (any, error) {
			now, is := args[0].(types.Timestamp)
			if !is {
				return nil, fmt.Errorf("expected the time now")
			}
			return scanAge(document, now.Time)
		}},
		{"provenance.builder", nil, cel.StringType, only(builder)},
		{"provenance.buildType", nil, cel.StringType, only(buildType)},
		{"provenance.source", nil, cel.StringType, only(source)},
		{"provenance.sourceRef", nil, cel.StringType, only(sourceRef)},
		{"provenance.sourceDigest", nil, cel.StringType, only(sourceDigest)},
		{"provenance.inputs", nil, texts, only(inputs)},
		{"openvex.notAffected", image, texts, ofImage(vexNamesOf(vexNotAffected))},
		{"openvex.fixed", image, texts, ofImage(vexNamesOf(vexFixed))},
		{"openvex.status", append(image, cel.StringType), cel.StringType, func(document any, args []ref.Val) (any, error) {
			return vexStatus(document, imageOf(args[0]), textOf(args[1]))
		}},
		{"openvex.statements", image, cel.ListType(cel.MapType(cel.StringType, cel.DynType)), ofImage(vexStatements)},
	}
}

// ofImage adapts a function that takes the document and the variable image.
func ofImage(f func(any, vexImage) (any, error)) func(any, []ref.Val) (any, error) {
	return func(document any, args []ref.Val) (any, error) { return f(document, imageOf(args[0])) }
}

// imageOf reads the variable image; what is missing stays empty.
func imageOf(v ref.Val) vexImage {
	fields, is := v.(traits.Mapper)
	if !is {
		return vexImage{}
	}
	field := func(name string) string {
		v, _ := fields.Find(types.String(name))
		return textOf(v)
	}
	return vexImage{digest: field("digest"), repository: field("repository")}
}

// textsOf reads a list of strings.
func textsOf(v ref.Val) ([]string, error) {
	list, is := v.(traits.Lister)
	if !is {
		return nil, fmt.Errorf("expected a list of strings")
	}
	var all []string
	for it := list.Iterator(); it.HasNext() == types.True; {
		text, is := it.Next().(types.String)
		if !is {
			return nil, fmt.Errorf("expected a list of strings, got one with something else")
		}
		all = append(all, string(text))
	}
	return all, nil
}

func textOf(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}

func isHelper(name string) bool {
	for _, h := range allHelpers() {
		if h.name == name {
			return true
		}
	}
	return false
}

// helpers declares the functions.
func helpers() []cel.EnvOption {
	all := allHelpers()
	options := make([]cel.EnvOption, len(all))
	for i, h := range all {
		options[i] = cel.Function(h.name, cel.Overload(h.overload(), append([]*cel.Type{cel.DynType}, h.args...), h.result,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val { v, _ := h.eval(args); return v })))
	}
	return options
}

// overload is the function's name for the interpreter.
func (h helper) overload() string { return fmt.Sprintf("%s_%d", h.name, 1+len(h.args)) }

// worked is a result that took more steps than its document has values.
type worked struct {
	value any
	steps int
}

// eval calls the function, and says what it took beside looking once through its
// arguments.
func (h helper) eval(args []ref.Val) (v ref.Val, steps int) {
	result, err := h.call(args[0].Value(), args[1:])
	if w, is := result.(worked); is {
		result, steps = w.value, w.steps
	}
	if err != nil {
		return types.WrapErr(fmt.Errorf("%s: %w", h.name, err)), steps
	}
	if d, is := result.(time.Duration); is {
		return types.Duration{Duration: d}, steps
	}
	return types.DefaultTypeAdapter.NativeToValue(result), steps
}

// walked is how many values of a document a function passes in the time of one
// step.
const walked = 1

// made is how many steps it takes to make an element of what is returned.
const made = 4

// help calls the function of the name, which walks its document.
func help(name string) guard {
	all := allHelpers()
	return func(m *meter, args []ref.Val) ref.Val {
		i := slices.IndexFunc(all, func(h helper) bool { return h.name == name && 1+len(h.args) == len(args) })
		if i < 0 {
			return types.NoSuchOverloadErr()
		}
		for _, argument := range args {
			m.spend(m.weight(argument, walked) / walked)
		}
		found, steps := all[i].eval(args)
		m.spend(steps + made*sizeOf(found, madePerStep, 1))
		return found
	}
}
