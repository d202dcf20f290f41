package jmes

// FunctionNames returns the names of all functions.
func FunctionNames() []string {
	var names []string
	for _, f := range functionTable() {
		names = append(names, f.name)
	}
	return names
}

// Matches reports whether text matches pattern.
func Matches(pattern, text string) bool {
	e := &evaluator{alive: func() error { return nil }}
	matched, err := e.matches(pattern, text)
	return matched && err == nil
}

// Search evaluates one expression on a document.
func Search(expression string, document any) (any, error) {
	n, err := parseExpression(expression)
	if err != nil {
		return nil, err
	}
	e := &evaluator{alive: func() error { return nil }}
	return e.search(n, document)
}
