package jmes

import (
	"fmt"
	"strings"
)

// An operator compares a key with a value.
type operator struct {
	name    string
	compare func(c comparisonOf) (bool, error)
	not     bool // it negates
	all     bool // it asks for all keys rather than one
	lists   bool // AnyIn and its kin, rather than In and NotIn
	accept  func(order int) bool
}

// comparisonOf is one comparison to make.
type comparisonOf struct {
	*evaluator
	operator
	key, value rendered
}

// operators lists all operators under all their names.
func operators() []operator {
	return []operator{
		{name: "Equals", compare: comparisonOf.equals},
		{name: "Equal", compare: comparisonOf.equals},
		{name: "NotEquals", compare: comparisonOf.equals, not: true},
		{name: "NotEqual", compare: comparisonOf.equals, not: true},
		{name: "In", compare: comparisonOf.in, all: true},
		{name: "NotIn", compare: comparisonOf.in, not: true},
		{name: "AnyIn", compare: comparisonOf.in, lists: true},
		{name: "AllIn", compare: comparisonOf.in, lists: true, all: true},
		{name: "AnyNotIn", compare: comparisonOf.in, lists: true, not: true},
		{name: "AllNotIn", compare: comparisonOf.in, lists: true, not: true, all: true},
		{name: "GreaterThan", compare: comparisonOf.ordered, accept: func(order int) bool { return order > 0 }},
		{name: "GreaterThanOrEquals", compare: comparisonOf.ordered, accept: func(order int) bool { return order >= 0 }},
		{name: "LessThan", compare: comparisonOf.ordered, accept: func(order int) bool { return order < 0 }},
		{name: "LessThanOrEquals", compare: comparisonOf.ordered, accept: func(order int) bool { return order <= 0 }},
		{name: "DurationGreaterThan", compare: comparisonOf.lasting, accept: func(order int) bool { return order > 0 }},
		{name: "DurationGreaterThanOrEquals", compare: comparisonOf.lasting, accept: func(order int) bool { return order >= 0 }},
		{name: "DurationLessThan", compare: comparisonOf.lasting, accept: func(order int) bool { return order < 0 }},
		{name: "DurationLessThanOrEquals", compare: comparisonOf.lasting, accept: func(order int) bool { return order <= 0 }},
	}
}

func lookupOperator(name string) (operator, error) {
	var names []string
	for _, o := range operators() {
		if strings.EqualFold(o.name, name) {
			return o, nil
		}
		names = append(names, o.name)
	}
	return operator{}, fmt.Errorf("expected an operator, got %q%s", clip(name, maxShown), meant(name, names))
}
