package attest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
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
		{"scan.highest", nil, cel.StringType, only(scanHighest)},
		{"scan.atMost", []*cel.Type{cel.StringType}, cel.BoolType, func(document any, args []ref.Val) (any, error) {
			return scanAtMost(document, textOf(args[0]))
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
	}
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
			cel.FunctionBinding(func(args ...ref.Val) ref.Val { return h.eval(args) })))
	}
	return options
}

// overload is the function's name for the interpreter.
func (h helper) overload() string { return fmt.Sprintf("%s_%d", h.name, 1+len(h.args)) }

func (h helper) eval(args []ref.Val) ref.Val {
	result, err := h.call(args[0].Value(), args[1:])
	if err != nil {
		return types.WrapErr(fmt.Errorf("%s: %w", h.name, err))
	}
	if d, is := result.(time.Duration); is {
		return types.Duration{Duration: d}
	}
	return types.DefaultTypeAdapter.NativeToValue(result)
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
		m.spend(m.weight(args[0], walked) / walked)
		found := all[i].eval(args)
		m.spend(made * sizeOf(found, madePerStep, 1))
		return found
	}
}
