package jmes

import (
	"errors"
	"fmt"
	"strings"
)

// A template is a text with variables. Kyverno finds variables by a regular
// expression, the innermost first, and again in what they resolve to; here the
// text is read once, and what variables resolve to is not read again.
type template struct {
	source string
	parts  []part
}

// A part is literal text or a variable.
type part struct {
	literal  string
	variable *variable
}

// A variable is one `{{ expression }}`.
type variable struct {
	source   string    // the expression
	compiled *node     // nil if the expression holds variables itself
	inner    *template // the expression, if it does
	shallow  bool      // `{{- x }}`: braces in what it resolves to are meant as text
	paths    []path    // of the document, that it reads
}

// parseTemplate reads a text. What looks like a variable and is none is an
// error: compared as a plain text it would make `NotEquals` hold for everything.
func parseTemplate(text string, b *Budget) (*template, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("expected a text of at most %d bytes, got %d", maxText, len(text))
	}
	if err := refuseReferences(text); err != nil {
		return nil, err
	}
	r := &reader{text: text, budget: b}
	t, err := r.template(0)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", clip(text, maxShown), err)
	}
	return t, nil
}

// refuseReferences refuses `$(path)`, which names another field of the policy.
func refuseReferences(text string) error {
	for i := 0; ; {
		at := strings.Index(text[i:], "$(")
		if at < 0 {
			return nil
		}
		i += at
		word, _, _ := strings.Cut(text[i:], " ")
		if escaped := i > 0 && text[i-1] == '\\'; !escaped && strings.Contains(word, ")") && !strings.HasPrefix(word, "$()") {
			return fmt.Errorf("reference %q to another field is refused: write the value, or `\\$(` for the text", clip(word, maxShown))
		}
		i += len("$(")
	}
}

const (
	opening = "{{"
	closing = "}}"
)

// A reader reads a template from left to right.
type reader struct {
	text   string
	at     int
	budget *Budget
}

func (r *reader) ahead(s string) bool { return strings.HasPrefix(r.text[r.at:], s) }

// template reads up to the end of the text.
func (r *reader) template(depth int) (*template, error) {
	t := &template{source: r.text}
	var literal strings.Builder
	for r.at < len(r.text) {
		switch {
		case r.ahead(`\` + opening), r.ahead(`\$(`):
			r.at++
			literal.WriteString(r.text[r.at : r.at+2])
			r.at += 2
		case r.ahead(opening):
			t.append(part{literal: literal.String()})
			literal.Reset()
			v, err := r.variable(depth)
			if err != nil {
				return nil, err
			}
			t.append(part{variable: v})
		default:
			literal.WriteByte(r.text[r.at])
			r.at++
		}
	}
	t.append(part{literal: literal.String()})
	return t, nil
}

func (t *template) append(p part) {
	if p.literal != "" || p.variable != nil {
		t.parts = append(t.parts, p)
	}
}

// variable reads one variable. Its expression may hold other variables and
// braces of one level, those of a multi-select hash, as in Kyverno.
func (r *reader) variable(depth int) (*variable, error) {
	if depth >= maxVariables {
		return nil, fmt.Errorf("expected at most %d levels of variables inside variables, got more", maxVariables)
	}
	from := r.at + len(opening)
	end, nested, err := r.end(depth)
	if err != nil {
		return nil, err
	}
	source := strings.TrimSpace(r.text[from:end])
	r.at = end + len(closing)
	v := &variable{}
	if source, v.shallow = strings.CutPrefix(source, "-"); v.shallow {
		source = strings.TrimSpace(source)
	}
	v.source = source
	if nested {
		return v, v.compileNested(depth, r.budget)
	}
	if v.compiled, err = parseExpression(source, r.budget); err != nil {
		return nil, err
	}
	v.paths = pathsOf(v.compiled)
	return v, nil
}

// end finds where the variable at r.at closes and whether others open inside.
func (r *reader) end(depth int) (end int, nested bool, err error) {
	brace := false
	for i := r.at + len(opening); i < len(r.text); i++ {
		rest := r.text[i:]
		switch {
		case !brace && strings.HasPrefix(rest, opening):
			inner := reader{text: r.text, at: i}
			if depth+1 >= maxVariables {
				return 0, false, fmt.Errorf("expected at most %d levels of variables inside variables, got more", maxVariables)
			}
			if i, _, err = inner.end(depth + 1); err != nil {
				return 0, false, err
			}
			nested = true
			i += len(closing) - 1
		case !brace && strings.HasPrefix(rest, closing):
			return i, nested, nil
		case rest[0] == '{' && !brace:
			brace = true
		case rest[0] == '}' && brace:
			brace = false
		case rest[0] == '{' || rest[0] == '}':
			return 0, false, errors.New(`expected at most one level of braces inside "{{ }}"`)
		}
	}
	return 0, false, errors.New(`expected "}}" after "{{", got none`)
}

// compileNested compiles a variable whose expression holds variables. What they
// will resolve to is not known; that the rest is an expression of known
// functions is checked with stand-ins.
func (v *variable) compileNested(depth int, b *Budget) error {
	r := &reader{text: v.source, budget: b}
	var err error
	if v.inner, err = r.template(depth + 1); err != nil {
		return err
	}
	for _, standIn := range [...]string{"x", "0"} {
		var text strings.Builder
		for _, p := range v.inner.parts {
			if p.variable != nil {
				text.WriteString(standIn)
				continue
			}
			text.WriteString(p.literal)
		}
		var n *node
		if n, err = parseExpression(text.String(), b); err == nil {
			v.paths = append(pathsOf(n), path{}) // what it reads besides is anyone's guess
			break
		}
	}
	for _, p := range v.inner.parts {
		if p.variable != nil {
			v.paths = append(v.paths, p.variable.paths...)
		}
	}
	return err
}

// resolve evaluates the variable.
func (v *variable) resolve(e *evaluator, root map[string]any) (any, error) {
	n := v.compiled
	if n == nil {
		text, err := v.inner.expression(e, root)
		if err != nil {
			return nil, err
		}
		if n, err = parseExpression(text, &e.budget); err != nil {
			return nil, err
		}
	}
	result, err := e.search(n, root)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", clip(v.source, maxShown), err)
	}
	return result, nil
}

// expression writes the expression that a nested template stands for.
func (t *template) expression(e *evaluator, root map[string]any) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.variable == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := p.variable.resolve(e, root)
		if err != nil {
			return "", err
		}
		s, is := plain(v)
		if !is || s == "" || !inert(s) {
			return "", fmt.Errorf(`expected %q to resolve to letters, digits and "_-./:" alone, as it is inside another variable; got %s`, clip(p.variable.source, maxShown), shown(v))
		}
		if err := e.produce(len(s)); err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	// Reading an expression takes far longer than copying it.
	return b.String(), e.step(b.Len())
}

// inert reports whether a text that comes out of a document can be put into an
// expression without becoming more than a name, a number or a part of a string.
func inert(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("_-./:", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// rendered is what a template resolves to.
type rendered struct {
	value any
	// wild says that a wildcard in it came out of a document.
	wild bool
}

// render resolves the template. A template that is one variable keeps the type
// of what it resolves to, and may be null.
func (t *template) render(e *evaluator, root map[string]any, authored func(*variable) bool) (rendered, error) {
	if len(t.parts) == 1 && t.parts[0].variable != nil {
		v := t.parts[0].variable
		value, err := v.resolve(e, root)
		if err != nil {
			return rendered{}, err
		}
		wild := false
		if !authored(v) {
			wild, err = e.wild(value)
		}
		return rendered{value, wild}, err
	}
	var b strings.Builder
	wild := false
	for _, p := range t.parts {
		if p.variable == nil {
			b.WriteString(p.literal)
			continue
		}
		value, err := p.variable.resolve(e, root)
		if err != nil {
			return rendered{}, err
		}
		if value == nil {
			return rendered{}, fmt.Errorf("expected %q to resolve to a value inside a text, got null", clip(p.variable.source, maxShown))
		}
		s, err := e.text(value)
		if err != nil {
			return rendered{}, err
		}
		if !p.variable.shallow && strings.Contains(s, opening) {
			return rendered{}, fmt.Errorf("expected %q to resolve to no other variable: what is resolved is not read again; `{{- %s }}` takes it as text", clip(p.variable.source, maxShown), clip(p.variable.source, maxShown))
		}
		wild = wild || !authored(p.variable) && hasWildcard(s)
		b.WriteString(s)
	}
	return rendered{b.String(), wild}, nil
}
