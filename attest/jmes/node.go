package jmes

import (
	"errors"
	"fmt"
	"strings"

	jmespath "github.com/kyverno/go-jmespath"
)

// A node is one operation of a compiled JMESPath expression. The parser is the
// one that Kyverno uses, so that the same expressions are expressions here; the
// interpreter is our own, which can be stopped, counts what it does, visits
// names in order and has no way to panic.
type node struct {
	kind    kind
	name    string // of a field, of a hash's entry
	value   any    // of a literal
	index   int
	slice   [3]*int
	compare comparison
	call    *function
	pattern *pattern // the first argument of a call, if it is a literal and a regular expression
	kids    []*node
}

type kind uint8

const (
	isCurrent    kind = iota // @
	isField                  // name
	isSub                    // a.b, a[0]
	isPipe                   // a | b
	isIndex                  // [0]
	isSlice                  // [0:1]
	isLiteral                // `1`, 'x'
	isCall                   // f(a)
	isExpression             // &a
	isComparison             // a == b
	isFilter                 // a[?c].b, as a, b, c
	isFlatten                // a[]
	isProjection             // a[*].b
	isValues                 // a.*.b
	isHash                   // {a: b}
	isList                   // [a, b]
	isOr                     // a || b
	isAnd                    // a && b
	isNot                    // !a
)

type comparison uint8

const (
	isEqual comparison = iota
	isNotEqual
	isLess
	isLessOrEqual
	isGreater
	isGreaterOrEqual
)

// parseExpression compiles one expression: the text between the braces. It
// spends from the budget.
func parseExpression(text string, b *Budget) (*node, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, errors.New("expected an expression, got none")
	case len(text) > maxExpression:
		return nil, fmt.Errorf("expected an expression of at most %d bytes, got %d", maxExpression, len(text))
	case text == "@":
		return nil, errors.New(`expected an expression, got "@": there is no current element here`)
	}
	if err := b.spendExpression(len(text)); err != nil {
		return nil, err
	}
	tree, err := parseTree(text)
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", clip(text, maxShown), err)
	}
	n, err := compileNode(tree, b)
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", clip(text, maxShown), err)
	}
	if n.kind == isExpression {
		return nil, fmt.Errorf(`compile %q: expected "&" only before an argument of a function`, clip(text, maxShown))
	}
	return n, nil
}

// parseTree is the library's parser. It indexes its tokens without looking, so a
// fault of it must not take the process along.
func parseTree(text string) (tree jmespath.ASTNode, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = errors.New("expected a JMESPath expression, got one that the parser cannot read")
		}
	}()
	tree, err = jmespath.NewParser().Parse(text)
	var syntax jmespath.SyntaxError
	if errors.As(err, &syntax) {
		err = fmt.Errorf("at offset %d: %w", syntax.Offset, err)
	}
	return tree, err
}

// compileNode translates a node of the library's tree. Where its parser passes
// over a fault it leaves an empty node, which is refused here.
func compileNode(tree jmespath.ASTNode, b *Budget) (*node, error) {
	n := &node{}
	for _, child := range tree.Children {
		kid, err := compileNode(child, b)
		if err != nil {
			return nil, err
		}
		if kid.kind == isExpression && tree.NodeType != jmespath.ASTFunctionExpression {
			return nil, errors.New(`expected "&" only before an argument of a function`)
		}
		n.kids = append(n.kids, kid)
	}
	switch tree.NodeType {
	case jmespath.ASTIdentity, jmespath.ASTCurrentNode:
		n.kind = isCurrent
	case jmespath.ASTField:
		n.kind = isField
		n.name, _ = tree.Value.(string)
	case jmespath.ASTSubexpression, jmespath.ASTIndexExpression:
		n.kind = isSub
	case jmespath.ASTPipe:
		n.kind = isPipe
	case jmespath.ASTIndex:
		n.kind = isIndex
		n.index, _ = tree.Value.(int)
	case jmespath.ASTSlice:
		return n, n.compileSlice(tree.Value)
	case jmespath.ASTLiteral:
		return n, n.compileLiteral(tree.Value)
	case jmespath.ASTFunctionExpression:
		return n, n.compileCall(tree.Value, b)
	case jmespath.ASTExpRef:
		n.kind = isExpression
	case jmespath.ASTComparator:
		return n, n.compileComparison(tree.Value)
	case jmespath.ASTFilterProjection:
		n.kind = isFilter
	case jmespath.ASTFlatten:
		n.kind = isFlatten
	case jmespath.ASTProjection:
		n.kind = isProjection
	case jmespath.ASTValueProjection:
		n.kind = isValues
	case jmespath.ASTMultiSelectHash:
		n.kind = isHash
	case jmespath.ASTKeyValPair: // an entry of a hash: the value's node, wrapped to carry the name
		n.kind = isPipe
		n.name, _ = tree.Value.(string)
	case jmespath.ASTMultiSelectList:
		n.kind = isList
	case jmespath.ASTOrExpression:
		n.kind = isOr
	case jmespath.ASTAndExpression:
		n.kind = isAnd
	case jmespath.ASTNotExpression:
		n.kind = isNot
	default:
		return nil, fmt.Errorf("expected a JMESPath expression, got an incomplete one (%s)", tree.NodeType)
	}
	return n, nil
}

func (n *node) compileSlice(value any) error {
	n.kind = isSlice
	parts, _ := value.([]*int)
	if len(parts) != len(n.slice) {
		return errors.New("expected a slice, got an incomplete one")
	}
	copy(n.slice[:], parts)
	if step := n.slice[2]; step != nil && *step == 0 {
		return errors.New("expected a slice's step, got 0")
	}
	return nil
}

func (n *node) compileLiteral(value any) error {
	n.kind = isLiteral
	var c census
	var err error
	n.value, err = c.normal(value, 0)
	return err
}

// compileComparison reads the operator by its name: the library exports neither
// its type nor its values.
func (n *node) compileComparison(value any) error {
	n.kind = isComparison
	switch fmt.Sprint(value) {
	case "tEQ":
		n.compare = isEqual
	case "tNE":
		n.compare = isNotEqual
	case "tLT":
		n.compare = isLess
	case "tLTE":
		n.compare = isLessOrEqual
	case "tGT":
		n.compare = isGreater
	case "tGTE":
		n.compare = isGreaterOrEqual
	default:
		return fmt.Errorf("expected a comparison, got %v", value)
	}
	return nil
}

func (n *node) compileCall(value any, b *Budget) error {
	n.kind = isCall
	name, is := value.(string)
	if !is {
		return errors.New(`expected the name of a function before "("`)
	}
	var err error
	if n.call, err = lookupFunction(name); err != nil {
		return err
	}
	if err := n.call.arity(len(n.kids)); err != nil {
		return err
	}
	for i, kid := range n.kids {
		wants := n.call.kindOf(i)
		switch {
		case kid.kind == isExpression && wants&anExpression == 0:
			return fmt.Errorf("%s: argument %d: expected a value, got an expression", name, i+1)
		case kid.kind != isExpression && wants == anExpression:
			return fmt.Errorf(`%s: argument %d: expected an expression, such as "&name"`, name, i+1)
		case kid.kind == isLiteral && !wants.admits(kid.value):
			return fmt.Errorf("%s: argument %d: expected %s, got %s", name, i+1, wants, typeOf(kid.value))
		}
	}
	if n.call.pattern && n.kids[0].kind == isLiteral {
		text, _ := n.kids[0].value.(string)
		if n.pattern, err = compilePattern(text, b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
