package jmes

import "fmt"

// A Budget is what compiling may still take: of all conditions that share it, it
// counts tests, the bytes of their expressions and the instructions of their
// regular expressions. Conditions that come with one request share one, so that
// a request cannot ask for many that are each within their bounds. What is
// counted is spent, also by conditions that turn out not to compile.
//
// All of it takes less than a tenth of a second and some megabytes. The zero
// Budget is a whole one. It is not safe for concurrent use, and not to be copied
// once it was used.
type Budget struct {
	tests, expressions, instructions int // spent
}

func (b *Budget) spendTests(n int) error {
	if b.tests += n; b.tests > maxTests {
		return fmt.Errorf("expected at most %d conditions, got more", maxTests)
	}
	return nil
}

// spendExpression is called before an expression of n bytes is parsed.
func (b *Budget) spendExpression(n int) error {
	if b.expressions += n; b.expressions > maxExpressions {
		return fmt.Errorf("expected expressions of at most %d bytes together, got more", maxExpressions)
	}
	return nil
}

// spendInstructions is called before a regular expression of n instructions is
// compiled.
func (b *Budget) spendInstructions(n int) error {
	if b.instructions += n; b.instructions > maxPrograms {
		return fmt.Errorf("expected regular expressions of at most %d instructions together, got more", maxPrograms)
	}
	return nil
}
