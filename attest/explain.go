package attest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

const (
	// maxShown bounds the values that a refusal shows: more than a few are not
	// read.
	maxShown = 6
	// maxShownText bounds each of them, in bytes.
	maxShownText = 160
	// maxShownElements bounds the elements that are shown of a list.
	maxShownElements = 5
)

// shown is a part of an expression whose value explains a refusal.
type shown struct {
	id   int64
	text string
	// loops are the lists that the part is evaluated for each element of. If one
	// turns out to be an object its elements have no order, and the last one that
	// was looked at is any of them.
	loops []int64
}

// inspected is what is to be known of an expression before it runs.
type inspected struct {
	reads    bool // it looks at the statement
	shown    []shown
	patterns patterns
}

// inspector walks a checked expression.
type inspector struct {
	info  *celast.SourceInfo
	found inspected
	// each are the variables of the loops that end at the first element that
	// fails, as all() does: their last value is that element.
	each  []string
	loops []int64
	err   error
}

func inspect(a *cel.Ast) (inspected, error) {
	i := inspector{info: a.NativeRep().SourceInfo(), found: inspected{patterns: patterns{}}}
	i.walk(a.NativeRep().Expr(), true)
	return i.found, i.err
}

// walk visits an expression. With show, its parts that name values are kept.
func (i *inspector) walk(e celast.Expr, show bool) {
	switch e.Kind() {
	case celast.IdentKind:
		i.ident(e, show)
	case celast.SelectKind:
		i.selection(e, show)
	case celast.CallKind:
		i.call(e, show)
	case celast.ListKind:
		for _, element := range e.AsList().Elements() {
			i.walk(element, show)
		}
	case celast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			i.walk(entry.AsMapEntry().Key(), show)
			i.walk(entry.AsMapEntry().Value(), show)
		}
	case celast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			i.walk(field.AsStructField().Value(), show)
		}
	case celast.ComprehensionKind:
		i.loop(e.AsComprehension(), show)
	case celast.LiteralKind, celast.UnspecifiedExprKind:
	}
}

func (i *inspector) ident(e celast.Expr, show bool) {
	name := e.AsIdent()
	i.found.reads = i.found.reads || slices.Contains([]string{varPredicate, varStatement, varSubject}, name)
	// All of a document is too much to show.
	if show && (name == varSubject || slices.Contains(i.each, name)) {
		i.show(e)
	}
}

// selection handles a path such as predicate.builder.id: its value is shown,
// and not those of its beginnings.
func (i *inspector) selection(e celast.Expr, show bool) {
	s := e.AsSelect()
	if operand := s.Operand(); operand.Kind() == celast.IdentKind {
		i.checkField(e, operand.AsIdent(), s.FieldName())
	}
	root := rootOf(e)
	if show && root != "" && (isVariable(root) || slices.Contains(i.each, root)) {
		i.show(e)
	}
	i.walk(s.Operand(), show && root == "")
}

// checkField refuses a field that a variable never has: the expression would
// never hold.
func (i *inspector) checkField(e celast.Expr, variable, field string) {
	known, is := fieldsOf()[variable]
	if is && !slices.Contains(known, field) {
		i.fail(e, fmt.Errorf("expected %s to be asked for one of %s, got %q", variable, strings.Join(known, ", "), clip(field, maxQuoted)))
	}
}

func (i *inspector) fail(e celast.Expr, err error) {
	if i.err == nil {
		at := i.info.GetStartLocation(e.ID())
		i.err = fmt.Errorf("%d:%d: %w", at.Line(), at.Column()+1, err)
	}
}

func (i *inspector) call(e celast.Expr, show bool) {
	call := e.AsCall()
	if call.FunctionName() == "matches" {
		pattern := call.Args()[len(call.Args())-1]
		if text, is := patternOf(pattern); !is {
			i.fail(pattern, errPattern)
		} else if err := i.found.patterns.add(text); err != nil {
			i.fail(pattern, err)
		}
	}
	if show && isHelper(call.FunctionName()) {
		i.show(e)
		show = false // its arguments are documents
	}
	if call.IsMemberFunction() {
		i.walk(call.Target(), show)
	}
	for _, argument := range call.Args() {
		i.walk(argument, show)
	}
}

func patternOf(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	text, is := e.AsLiteral().(types.String)
	return string(text), is
}

// loop handles a macro such as all().
func (i *inspector) loop(c celast.ComprehensionExpr, show bool) {
	i.walk(c.IterRange(), show)
	first := c.AccuInit().Kind() == celast.LiteralKind && c.AccuInit().AsLiteral() == types.True
	if first {
		i.each, i.loops = append(i.each, c.IterVar()), append(i.loops, c.IterRange().ID())
		defer func() { i.each, i.loops = i.each[:len(i.each)-1], i.loops[:len(i.loops)-1] }()
	}
	i.walk(c.AccuInit(), false)
	i.walk(c.LoopCondition(), false)
	i.walk(c.LoopStep(), show && first)
	i.walk(c.Result(), false)
}

func (i *inspector) show(e celast.Expr) {
	text, err := cel.ExprToString(e, i.info)
	if err != nil || slices.ContainsFunc(i.found.shown, func(s shown) bool { return s.text == text }) {
		return
	}
	i.found.shown = append(i.found.shown, shown{id: e.ID(), text: clip(text, maxShownText), loops: slices.Clone(i.loops)})
}

// rootOf returns the variable at the beginning of a path, or "".
func rootOf(e celast.Expr) string {
	for e.Kind() == celast.SelectKind {
		e = e.AsSelect().Operand()
	}
	if e.Kind() == celast.IdentKind {
		return e.AsIdent()
	}
	return ""
}

// explain says what the parts of an expression were: `predicate.builder.id =
// "x"`. A part that was never reached is left out.
func explain(what []shown, state interpreter.EvalState) string {
	var parts []string
	for _, s := range what {
		value, reached := state.Value(s.id)
		if !reached || types.IsUnknownOrError(value) || slices.ContainsFunc(s.loops, unordered(state)) {
			continue
		}
		if len(parts) == maxShown {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, s.text+" = "+show(value, 0))
	}
	return strings.Join(parts, ", ")
}

// unordered reports of a loop whether it is over the keys of an object.
func unordered(state interpreter.EvalState) func(int64) bool {
	return func(over int64) bool {
		value, reached := state.Value(over)
		_, isMap := value.(traits.Mapper)
		return !reached || isMap
	}
}

// show writes a value for people, bounded.
func show(v ref.Val, depth int) string {
	switch v := v.(type) {
	case types.String:
		return strconv.Quote(clip(string(v), maxShownText))
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339)
	case types.Duration:
		return v.String()
	case types.Null:
		return "null"
	case types.Bool, types.Int, types.Uint, types.Double:
		return fmt.Sprint(v.Value())
	case traits.Lister:
		return showList(v, depth)
	case traits.Mapper:
		return "an object"
	}
	return "a value of type " + v.Type().TypeName()
}

func showList(list traits.Lister, depth int) string {
	n := size(list)
	if depth > 0 {
		return fmt.Sprintf("a list of %d", n)
	}
	var parts []string
	for it := list.Iterator(); it.HasNext() == types.True; {
		if len(parts) == maxShownElements {
			parts = append(parts, fmt.Sprintf("%d more", n-maxShownElements))
			break
		}
		parts = append(parts, show(it.Next(), depth+1))
	}
	return clip("["+strings.Join(parts, ", ")+"]", 2*maxShownText)
}
