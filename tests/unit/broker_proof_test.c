/* Proofs of membership: frozen by examples, since brokers of all releases must agree on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker_proof.h"
#include "tests/harness/vectors.h"

static void parse(const char *digits, uint8_t *bytes, size_t size)
{
    size_t parsed_size = 0;
    uint8_t *parsed = vectors_parse_hexadecimal(digits, &parsed_size);
    assert_int_equal(parsed_size, size);
    memcpy(bytes, parsed, size);
    free(parsed);
}

static void check_example(const char *line)
{
    char texts[4][80];
    uint64_t connection;
    broker_credential_t sender;
    incarnation_t receiver;
    uint8_t expected[32];
    assert_int_equal(sscanf(line, "%79s %79s %79s %" SCNu64 " %79s", texts[0], texts[1], texts[2],
                            &connection, texts[3]),
                     5);
    parse(texts[0], sender.secret.bytes, sizeof sender.secret.bytes);
    parse(texts[1], receiver.bytes, sizeof receiver.bytes);
    parse(texts[2], sender.broker.bytes, sizeof sender.broker.bytes);
    parse(texts[3], expected, sizeof expected);
    broker_proof_t proof = broker_proof_make(&sender, receiver, connection);
    assert_memory_equal(proof.bytes, expected, sizeof expected);
    assert_true(broker_proof_holds(&sender, receiver, connection, fabric_bytes(expected, 32)));
}

static void proofs_are_frozen(void **state)
{
    (void)state;
    FILE *file = fopen("schemas/vectors/proofs.txt", "r");
    assert_non_null(file);
    char line[512];
    size_t examples = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] != '#') {
            check_example(line);
            examples++;
        }
    }
    fclose(file);
    assert_int_equal(examples, 6);
}

static const broker_credential_t self = {.broker = {{1}}, .secret = {{2, 3}}};
static const incarnation_t other = {{4}};

static bool holds(const broker_credential_t *sender, incarnation_t receiver, uint64_t connection,
                  const broker_proof_t *proof, size_t size)
{
    return broker_proof_holds(sender, receiver, connection, fabric_bytes(proof->bytes, size));
}

static void a_proof_holds_for_one_hello_only(void **state)
{
    (void)state;
    broker_proof_t proof = broker_proof_make(&self, other, 7);
    assert_true(holds(&self, other, 7, &proof, sizeof proof));
    assert_false(holds(&self, other, 8, &proof, sizeof proof));
    assert_false(holds(&self, other, 7 + (UINT64_C(1) << 56), &proof, sizeof proof));
    assert_false(holds(&self, self.broker, 7, &proof, sizeof proof));
    broker_credential_t changed = self;
    changed.broker.bytes[15] = 1;
    assert_false(holds(&changed, other, 7, &proof, sizeof proof));
    changed = self;
    changed.secret.bytes[15] = 1;
    assert_false(holds(&changed, other, 7, &proof, sizeof proof));
}

static void every_byte_of_a_proof_counts(void **state)
{
    (void)state;
    broker_proof_t proof = broker_proof_make(&self, other, 7);
    for (size_t i = 0; i < sizeof proof.bytes; i++) {
        broker_proof_t changed = proof;
        changed.bytes[i] ^= 1;
        assert_false(holds(&self, other, 7, &changed, sizeof changed));
        assert_false(holds(&self, other, 7, &proof, i));
    }
    assert_false(broker_proof_holds(&self, other, 7, fabric_bytes(NULL, 0)));
}

/* Everybody could make the proof of a broker without a secret. */
static void a_broker_without_a_secret_proves_nothing(void **state)
{
    (void)state;
    broker_credential_t without = {.broker = self.broker};
    broker_proof_t proof = broker_proof_make(&without, other, 7);
    assert_false(holds(&without, other, 7, &proof, sizeof proof));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proofs_are_frozen),
        cmocka_unit_test(a_proof_holds_for_one_hello_only),
        cmocka_unit_test(every_byte_of_a_proof_counts),
        cmocka_unit_test(a_broker_without_a_secret_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
