package attest

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/ext"
)

// newEnvironment returns the language of conditions: CEL's standard library,
// optional values, the safe parts of its extensions, and the functions of this
// package. What an extension can blow up within one step is left out: no cost
// limit can stop a step.
func newEnvironment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable(varPredicate, cel.DynType),
		cel.Variable(varStatement, cel.DynType),
		cel.Variable(varSubject, cel.ListType(cel.DynType)),
		cel.Variable(varImage, cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(varRequest, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varSigned, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varNow, cel.TimestampType),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(maxNesting),
		cel.OptionalTypes(),
		ext.Math(),
		ext.Sets(),
	}
	for _, part := range []struct {
		library   cel.EnvOption
		functions []string
	}{
		// Not replace, join, format and quote, which multiply what they are given,
		// nor indexOf, whose time is quadratic.
		{ext.Strings(ext.StringsVersion(3)), []string{"charAt", "lowerAscii", "split", "substring", "trim", "upperAscii"}},
		// Not range, which makes lists of nothing, nor distinct and sort.
		{ext.Lists(ext.ListsVersion(0)), []string{"slice"}},
	} {
		picked, err := pick(part.library, part.functions)
		if err != nil {
			return nil, err
		}
		options = append(options, picked)
	}
	return cel.NewEnv(append(options, helpers()...)...)
}

// maxNesting bounds how deep an expression nests: the deepest readable ones
// have some ten levels.
const maxNesting = 50

// pick returns the named functions of a library.
func pick(library cel.EnvOption, names []string) (cel.EnvOption, error) {
	env, err := cel.NewCustomEnv(library)
	if err != nil {
		return nil, fmt.Errorf("load a CEL library: %w", err)
	}
	all := env.Functions()
	picked := make([]*decls.FunctionDecl, len(names))
	for i, name := range names {
		function, known := all[name]
		if !known {
			return nil, fmt.Errorf("expected the CEL function %q, got none", name)
		}
		picked[i] = function
	}
	return cel.FunctionDecls(picked...), nil
}
