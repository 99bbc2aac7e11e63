package pep440_test

import (
	"fmt"
	"slices"

	"reqpm/internal/pep440"
)

func ExampleParse() {
	v, err := pep440.Parse("v1.0-Beta.2")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v, v.IsPrerelease())

	_, err = pep440.Parse("1.0-final-2")
	fmt.Println(err)
	// Output:
	// 1.0b2 true
	// not a PEP 440 version: "1.0-final-2"
}

func ExampleVersion_Compare() {
	var versions []pep440.Version
	for _, s := range []string{"1.10", "1.9", "1.10.post1", "1.10rc1", "1!0.1", "1.10.dev3"} {
		v, err := pep440.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		versions = append(versions, v)
	}
	slices.SortFunc(versions, pep440.Version.Compare)
	fmt.Println(versions)
	// Output: [1.9 1.10.dev3 1.10rc1 1.10 1.10.post1 1!0.1]
}

func ExampleSpecifiers_Contains() {
	set, err := pep440.ParseSpecifiers(">=1.4, !=1.5.*, <2.0")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range []string{"1.4", "1.5.3", "1.6rc1", "2.0a1"} {
		v, err := pep440.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(v, set.Contains(v), set.ContainsFinal(v))
	}
	// Output:
	// 1.4 true true
	// 1.5.3 false false
	// 1.6rc1 true false
	// 2.0a1 false false
}

func ExampleSpecifiers_And() {
	asked, _ := pep440.ParseSpecifiers(">=2")
	constraint, _ := pep440.ParseSpecifiers("<3,!=2.1")
	fmt.Println(asked.And(constraint))
	// Output: !=2.1,<3,>=2
}
