/*
 * The cases of JSONTestSuite (https://github.com/nst/JSONTestSuite), by its groups. Two very deep ones
 * (n_structure_100000_opening_arrays, n_structure_open_array_object) and i_structure_500_nested_arrays
 * are made by json_test.c.
 */
#ifndef TESTS_JSON_CASES_H
#define TESTS_JSON_CASES_H

#include "../../lib/base/slice.h"

/* clang-format off */
#define CASE(literal) { (literal), sizeof(literal) - 1 }

/* Must be taken. */
static const struct slice accepted[] = {
	/* y_array */
	CASE("[[]   ]"), CASE("[\"\"]"), CASE("[]"), CASE("[\"a\"]"), CASE("[false]"),
	CASE("[null, 1, \"1\", {}]"), CASE("[null]"), CASE("[1\n]"), CASE(" [1]"),
	CASE("[1,null,null,null,2]"), CASE("[2] "),
	/* y_number */
	CASE("[123e65]"), CASE("[0e+1]"), CASE("[0e1]"), CASE("[ 4]"),
	CASE("[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]\n"),
	CASE("[20e1]"), CASE("[-0]"), CASE("[-123]"), CASE("[-1]"), CASE("[1E22]"),
	CASE("[1E-2]"), CASE("[1E+2]"), CASE("[123e45]"), CASE("[123.456e78]"), CASE("[1e-2]"),
	CASE("[1e+2]"), CASE("[123]"), CASE("[123.456789]"),
	/* y_object */
	CASE("{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"), CASE("{\"asd\":\"sdf\"}"),
	CASE("{\"a\":\"b\",\"a\":\"c\"}"), CASE("{\"a\":\"b\",\"a\":\"b\"}"), CASE("{}"),
	CASE("{\"\":0}"), CASE("{\"foo\\u0000bar\": 42}"),
	CASE("{ \"min\": -1.0e+28, \"max\": 1.0e+28 }"),
	CASE("{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}"),
	CASE("{\"a\":[]}"),
	CASE("{\"title\":\"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430 \\u0417\\u0435\\u043c\\u043b\\u0435\\u043a\\u043e\\u043f\\u0430\" }"),
	CASE("{\n\"a\": \"b\"\n}"),
	/* y_string */
	CASE("[\"\\u0060\\u012a\\u12AB\"]"), CASE("[\"\\uD801\\udc37\"]"),
	CASE("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"), CASE("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
	CASE("[\"\\\\u0000\"]"), CASE("[\"\\\"\"]"), CASE("[\"a/*b*/c/*d//e\"]"),
	CASE("[\"\\\\a\"]"), CASE("[\"\\\\n\"]"), CASE("[\"\\u0012\"]"), CASE("[\"\\uFFFF\"]"),
	CASE("[\"asd\"]"), CASE("[ \"asd\"]"), CASE("[\"\\uDBFF\\uDFFF\"]"),
	CASE("[\"new\\u00A0line\"]"), CASE("[\"\364\217\277\277\"]"), CASE("[\"\357\277\277\"]"),
	CASE("[\"\\u0000\"]"), CASE("[\"\\u002c\"]"), CASE("[\"\317\200\"]"),
	CASE("[\"\360\233\277\277\"]"), CASE("[\"asd \"]"), CASE("\" \""),
	CASE("[\"\\uD834\\uDd1e\"]"), CASE("[\"\\u0821\"]"), CASE("[\"\\u0123\"]"),
	CASE("[\"\342\200\250\"]"), CASE("[\"\342\200\251\"]"),
	CASE("[\"\\u0061\\u30af\\u30EA\\u30b9\"]"), CASE("[\"new\\u000Aline\"]"),
	CASE("[\"\177\"]"), CASE("[\"\\uA66D\"]"), CASE("[\"\\u005C\"]"),
	CASE("[\"\342\215\202\343\210\264\342\215\202\"]"), CASE("[\"\\uDBFF\\uDFFE\"]"),
	CASE("[\"\\uD83F\\uDFFE\"]"), CASE("[\"\\u200B\"]"), CASE("[\"\\u2064\"]"),
	CASE("[\"\\uFDD0\"]"), CASE("[\"\\uFFFE\"]"), CASE("[\"\\u0022\"]"),
	CASE("[\"\342\202\254\360\235\204\236\"]"), CASE("[\"a\177a\"]"),
	/* y_structure */
	CASE("false"), CASE("42"), CASE("-0.1"), CASE("null"), CASE("\"asd\""), CASE("true"),
	CASE("\"\""), CASE("[\"a\"]\n"), CASE("[true]"), CASE(" [] "),
};

/* Must be refused; the two deep ones are tests of their own. */
static const struct slice refused[] = {
	/* n_array */
	CASE("[1 true]"), CASE("[a\345]"), CASE("[\"\": 1]"), CASE("[\"\"],"), CASE("[,1]"),
	CASE("[1,,2]"), CASE("[\"x\",,]"), CASE("[\"x\"]]"), CASE("[\"\",]"), CASE("[\"x\""),
	CASE("[x"), CASE("[3[4]]"), CASE("[\377]"), CASE("[1:2]"), CASE("[,]"), CASE("[-]"),
	CASE("[   , \"\"]"), CASE("[\"a\",\n4\n,1,"), CASE("[1,]"), CASE("[1,,]"),
	CASE("[\"\013a\"\\f]"), CASE("[*]"), CASE("[\"\""), CASE("[1,"), CASE("[1,\n1\n,1"),
	CASE("[{}"),
	/* n_incomplete */
	CASE("[fals]"), CASE("[nul]"), CASE("[tru]"),
	/* n_multidigit */
	CASE("123\000"),
	/* n_number */
	CASE("[++1234]"), CASE("[+1]"), CASE("[+Inf]"), CASE("[-01]"), CASE("[-1.0.]"),
	CASE("[-2.]"), CASE("[-NaN]"), CASE("[.-1]"), CASE("[.2e-3]"), CASE("[0.1.2]"),
	CASE("[0.3e+]"), CASE("[0.3e]"), CASE("[0.e1]"), CASE("[0E+]"), CASE("[0E]"),
	CASE("[0e+]"), CASE("[0e]"), CASE("[1.0e+]"), CASE("[1.0e-]"), CASE("[1.0e]"),
	CASE("[1 000.0]"), CASE("[1eE2]"), CASE("[2.e+3]"), CASE("[2.e-3]"), CASE("[2.e3]"),
	CASE("[9.e+]"), CASE("[Inf]"), CASE("[NaN]"), CASE("[\357\274\221]"), CASE("[1+2]"),
	CASE("[0x1]"), CASE("[0x42]"), CASE("[Infinity]"), CASE("[0e+-1]"),
	CASE("[-123.123foo]"), CASE("[123\345]"), CASE("[1e1\345]"), CASE("[0\345]\n"),
	CASE("[-Infinity]"), CASE("[-foo]"), CASE("[- 1]"), CASE("[-012]"), CASE("[-.123]"),
	CASE("[-1x]"), CASE("[1ea]"), CASE("[1e\345]"), CASE("[1.]"), CASE("[.123]"),
	CASE("[1.2a-3]"), CASE("[1.8011670033376514H-308]"), CASE("[012]"),
	/* n_object */
	CASE("[\"x\", truth]"), CASE("{[: \"x\"}\n"), CASE("{\"x\", null}"),
	CASE("{\"x\"::\"b\"}"), CASE("{\360\237\207\250\360\237\207\255}"),
	CASE("{\"a\":\"a\" 123}"), CASE("{key: 'value'}"), CASE("{\"\271\":\"0\",}"),
	CASE("{\"a\" b}"), CASE("{:\"b\"}"), CASE("{\"a\" \"b\"}"), CASE("{\"a\":"),
	CASE("{\"a\""), CASE("{1:1}"), CASE("{9999E9999:1}"), CASE("{null:null,null:null}"),
	CASE("{\"id\":0,,,,,}"), CASE("{'a':0}"), CASE("{\"id\":0,}"), CASE("{\"a\":\"b\"}/**/"),
	CASE("{\"a\":\"b\"}/**//"), CASE("{\"a\":\"b\"}//"), CASE("{\"a\":\"b\"}/"),
	CASE("{\"a\":\"b\",,\"c\":\"d\"}"), CASE("{a: \"b\"}"), CASE("{\"a\":\"a"),
	CASE("{ \"foo\" : \"bar\", \"a\" }"), CASE("{\"a\":\"b\"}#"),
	/* n_single */
	CASE(" "),
	/* n_string */
	CASE("[\"\\uD800\\\"]"), CASE("[\"\\uD800\\u\"]"), CASE("[\"\\uD800\\u1\"]"),
	CASE("[\"\\uD800\\u1x\"]"), CASE("[\303\251]"), CASE("[\"\\\000\"]"),
	CASE("[\"\\x00\"]"), CASE("[\"\\\\\\\"]"), CASE("[\"\\\t\"]"),
	CASE("[\"\\\360\237\214\200\"]"), CASE("[\"\\\"]"), CASE("[\"\\u00A\"]"),
	CASE("[\"\\uD834\\uDd\"]"), CASE("[\"\\uD800\\uD800\\x\"]"), CASE("[\"\\u\345\"]"),
	CASE("[\"\\a\"]"), CASE("[\"\\uqqqq\"]"), CASE("[\"\\\345\"]"), CASE("[\\u0020\"asd\"]"),
	CASE("[\\n]"), CASE("\""), CASE("['single quote']"), CASE("abc"), CASE("[\"\\"),
	CASE("[\"a\000a\"]"), CASE("[\"new\nline\"]"), CASE("[\"\t\"]"), CASE("\"\\UA66D\""),
	CASE("\"\"x"),
	/* n_structure */
	CASE("[\342\201\240]"), CASE("\357\273\277"), CASE("<.>"), CASE("[<null>]"),
	CASE("[1]x"), CASE("[1]]"), CASE("[\"asd]"), CASE("a\303\245"), CASE("[True]"),
	CASE("1]"), CASE("{\"x\": true,"), CASE("[][]"), CASE("]"), CASE("\357\273{}"),
	CASE("\345"), CASE("["), CASE(""), CASE("[\000]"), CASE("2@"), CASE("{}}"),
	CASE("{\"\":"), CASE("{\"a\":/*comment*/\"b\"}"), CASE("{\"a\": true} \"x\""),
	CASE("['"), CASE("[,"), CASE("[{"), CASE("[\"a"), CASE("[\"a\""), CASE("{"), CASE("{]"),
	CASE("{,"), CASE("{["), CASE("{\"a"), CASE("{'a'"), CASE("[\"\\{[\"\\{[\"\\{[\"\\{"),
	CASE("\351"), CASE("*"), CASE("{\"a\":\"b\"}#{}"), CASE("[\\u000A\"\"]"), CASE("[1"),
	CASE("[ false, nul"), CASE("[ true, fals"), CASE("[ false, tru"),
	CASE("{\"asd\":\"asd\""), CASE("\303\245"), CASE("\342\201\240"), CASE("[\014]"),
};

/* Left open by the RFC, taken by us: nobody computes with the numbers. */
static const struct slice accepted_by_choice[] = {
	/* i_number */
	CASE("[123.456e-789]"),
	CASE("[0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999969999999006]"),
	CASE("[-1e+9999]"), CASE("[1.5e+9999]"), CASE("[-123123e100000]"),
	CASE("[123123e100000]"), CASE("[123e-10000000]"),
	CASE("[-123123123123123123123123123123]"), CASE("[100000000000000000000]"),
	CASE("[-237462374673276894279832749832423479823246327846]"),
};

/* Left open by the RFC, refused by us: what is not UTF-8 or stands for no text. */
static const struct slice refused_by_choice[] = {
	/* i_object */
	CASE("{\"\\uDFAA\":0}"),
	/* i_string */
	CASE("[\"\\uDADA\"]"), CASE("[\"\\uD888\\u1234\"]"),
	CASE("\377\376[\000\"\000\351\000\"\000]\000"), CASE("[\"\346\227\245\321\210\372\"]"),
	CASE("[\"\355\240\200\"]"), CASE("[\"\\uD800\\n\"]"), CASE("[\"\\uDd1ea\"]"),
	CASE("[\"\\uD800\\uD800\\n\"]"), CASE("[\"\\ud800\"]"), CASE("[\"\\ud800abc\"]"),
	CASE("[\"\377\"]"), CASE("[\"\\uDd1e\\uD834\"]"), CASE("[\"\351\"]"),
	CASE("[\"\\uDFAA\"]"), CASE("[\"\201\"]"), CASE("[\"\364\277\277\277\"]"),
	CASE("[\"\300\257\"]"), CASE("[\"\374\203\277\277\277\277\"]"),
	CASE("[\"\374\200\200\200\200\200\"]"), CASE("[\"\340\377\"]"),
	CASE("\000[\000\"\000\351\000\"\000]"), CASE("[\000\"\000\351\000\"\000]\000"),
	/* i_structure */
	CASE("\357\273\277{}"),
};

/* clang-format on */

#endif
