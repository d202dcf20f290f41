package jmes

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"gopkg.in/inf.v0"
	"k8s.io/apimachinery/pkg/api/resource"
)

// numberFunctions are Kyverno's: of numbers, quantities and durations.
func numberFunctions() []function {
	both := []kinds{textOrNumber, textOrNumber}
	return []function{
		{name: "add", args: both, run: func(c call) (any, error) { return c.calculate(add) }},
		{name: "subtract", args: both, run: func(c call) (any, error) { return c.calculate(subtract) }},
		{name: "multiply", args: both, run: func(c call) (any, error) { return c.calculate(multiply) }},
		{name: "divide", args: both, run: func(c call) (any, error) { return c.calculate(divide) }},
		{name: "modulo", args: both, run: func(c call) (any, error) { return c.calculate(modulo) }},
		{name: "sum", args: []kinds{anArray}, run: sum},
		{name: "round", args: []kinds{aNumber, aNumber}, run: round},
	}
}

// An amount is what is calculated with: a float64, a resource.Quantity or a
// time.Duration.
type amount any

var (
	errAmounts  = errors.New("expected amounts that go together: two numbers, two quantities, two durations, or one of them and a number to multiply or divide by")
	errZero     = errors.New("expected a divisor other than zero")
	errOverflow = errors.New("expected a result within the range of durations")
)

func amountOf(v any) (amount, error) {
	if f, is := float(v); is {
		return f, nil
	}
	s, _ := v.(string)
	if q, is := parseQuantity(s); is {
		return q, nil
	}
	if d, is := parseDuration(s); is {
		return d, nil
	}
	return nil, fmt.Errorf("expected a number, a quantity or a duration, got %s", shown(v))
}

// written returns an amount as a value.
func written(a amount) any {
	switch x := a.(type) {
	case resource.Quantity:
		return x.String()
	case time.Duration:
		return x.String()
	}
	return a
}

func (c call) calculate(by func(a, b amount) (amount, error)) (any, error) {
	return calculate(c.args[0], c.args[1], by)
}

func calculate(x, y any, by func(a, b amount) (amount, error)) (any, error) {
	a, err := amountOf(x)
	if err != nil {
		return nil, err
	}
	b, err := amountOf(y)
	if err != nil {
		return nil, err
	}
	result, err := by(a, b)
	return written(result), err
}

func sum(c call) (any, error) {
	list := c.list(0)
	if len(list) == 0 {
		return nil, errEmptyList
	}
	const each = 16 // a quantity is read and written
	if err := c.step(each * len(list)); err != nil {
		return nil, err
	}
	total := list[0]
	var err error
	for _, element := range list[1:] {
		if total, err = calculate(total, element, add); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func add(a, b amount) (amount, error) {
	switch x := a.(type) {
	case float64:
		if y, is := b.(float64); is {
			return x + y, nil
		}
	case resource.Quantity:
		if y, is := b.(resource.Quantity); is {
			x.Add(y)
			return x, nil
		}
	case time.Duration:
		if y, is := b.(time.Duration); is {
			return lasting(float64(x)+float64(y), x+y)
		}
	}
	return nil, errAmounts
}

func subtract(a, b amount) (amount, error) {
	switch x := a.(type) {
	case float64:
		if y, is := b.(float64); is {
			return x - y, nil
		}
	case resource.Quantity:
		if y, is := b.(resource.Quantity); is {
			x.Sub(y)
			return x, nil
		}
	case time.Duration:
		if y, is := b.(time.Duration); is {
			return lasting(float64(x)-float64(y), x-y)
		}
	}
	return nil, errAmounts
}

// lasting returns the exact duration if its approximation says that it did not
// wrap around.
func lasting(about float64, exact time.Duration) (amount, error) {
	if math.IsNaN(about) || math.Abs(about) >= math.MaxInt64 {
		return nil, errOverflow
	}
	return exact, nil
}

func multiply(a, b amount) (amount, error) {
	if _, is := a.(float64); is { // the number last
		a, b = b, a
	}
	y, is := b.(float64)
	if !is {
		return nil, errAmounts
	}
	switch x := a.(type) {
	case float64:
		return x * y, nil
	case time.Duration:
		return lasting(float64(x)*y, time.Duration(float64(x)*y))
	case resource.Quantity:
		factor, err := decimal(y)
		if err != nil {
			return nil, err
		}
		return *resource.NewDecimalQuantity(*new(inf.Dec).Mul(x.AsDec(), factor), x.Format), nil
	}
	return nil, errAmounts
}

func decimal(f float64) (*inf.Dec, error) {
	q, is := parseQuantity(strconv.FormatFloat(f, 'f', -1, 64))
	if !is {
		return nil, fmt.Errorf("expected a number to calculate with, got %v", f)
	}
	return q.AsDec(), nil
}

func divide(a, b amount) (amount, error) {
	if zero(b) {
		return nil, errZero
	}
	switch x := a.(type) {
	case float64:
		if y, is := b.(float64); is {
			return x / y, nil
		}
	case time.Duration:
		switch y := b.(type) {
		case time.Duration:
			return x.Seconds() / y.Seconds(), nil
		case float64:
			return lasting(float64(x)/y, time.Duration(float64(x)/y))
		}
	case resource.Quantity:
		switch y := b.(type) {
		case resource.Quantity:
			return x.AsApproximateFloat64() / y.AsApproximateFloat64(), nil
		case float64:
			divisor, err := decimal(y)
			if err != nil {
				return nil, err
			}
			dividend := x.AsDec()
			scale := max(dividend.Scale(), divisor.Scale())
			return *resource.NewDecimalQuantity(*new(inf.Dec).QuoRound(dividend, divisor, scale, inf.RoundDown), x.Format), nil
		}
	}
	return nil, errAmounts
}

func zero(a amount) bool {
	switch x := a.(type) {
	case float64:
		return x == 0
	case time.Duration:
		return x == 0
	case resource.Quantity:
		return x.IsZero()
	}
	return true
}

func modulo(a, b amount) (amount, error) {
	if zero(b) {
		return nil, errZero
	}
	switch x := a.(type) {
	case float64:
		if y, is := b.(float64); is {
			return remainder(x, y)
		}
	case time.Duration:
		if y, is := b.(time.Duration); is {
			return x % y, nil
		}
	case resource.Quantity:
		if y, is := b.(resource.Quantity); is {
			rest, err := remainder(x.AsApproximateFloat64(), y.AsApproximateFloat64())
			if err != nil {
				return nil, err
			}
			f, _ := float(rest)
			return *resource.NewQuantity(int64(f), x.Format), nil
		}
	}
	return nil, errAmounts
}

func remainder(x, y float64) (amount, error) {
	a, err := whole(x)
	if err != nil {
		return nil, err
	}
	b, err := whole(y)
	if err != nil {
		return nil, err
	}
	return float64(a % b), nil
}

// round rounds to so many digits after the point.
func round(c call) (any, error) {
	places, err := whole(c.args[1])
	if err != nil || places < 0 {
		return nil, errors.New("expected a whole number of digits, not negative")
	}
	const most = 15 // digits that a float64 holds
	if places > most {
		return c.number(0), nil
	}
	shift := math.Pow10(places)
	if scaled := c.number(0) * shift; !math.IsInf(scaled, 0) {
		return math.Round(scaled) / shift, nil
	}
	return c.number(0), nil
}
