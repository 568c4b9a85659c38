/* A test double of a GM/T 0018 library: one SM2 key of index 1, whose use needs the PIN "1234". It is for tests alone. */
#include <string.h>

typedef struct bn BN;
typedef struct group GROUP;
typedef struct point POINT;
BN *BN_new(void);
BN *BN_bin2bn(const unsigned char *data, int size, BN *result);
int BN_bn2binpad(const BN *number, unsigned char *data, int size);
int BN_rand_range(BN *result, const BN *range);
int BN_mod_add(BN *result, const BN *a, const BN *b, const BN *modulus, void *context);
int BN_mod_sub(BN *result, const BN *a, const BN *b, const BN *modulus, void *context);
int BN_mod_mul(BN *result, const BN *a, const BN *b, const BN *modulus, void *context);
BN *BN_mod_inverse(BN *result, const BN *a, const BN *modulus, void *context);
const BN *BN_value_one(void);
void *BN_CTX_new(void);
GROUP *EC_GROUP_new_by_curve_name(int nid);
const BN *EC_GROUP_get0_order(const GROUP *group);
POINT *EC_POINT_new(const GROUP *group);
int EC_POINT_mul(const GROUP *group, POINT *result, const BN *n, const POINT *q, const BN *m, void *context);
int EC_POINT_get_affine_coordinates(const GROUP *group, const POINT *point, BN *x, BN *y, void *context);

enum { NID_SM2 = 1172, FIELD = 64, NUMBER = 32, KEY_MISSING = 0x01000008, PIN_WRONG = 0x0100000B };
typedef struct { unsigned int bits; unsigned char x[FIELD]; unsigned char y[FIELD]; } ECCrefPublicKey;
typedef struct { unsigned char r[FIELD]; unsigned char s[FIELD]; } ECCSignature;

static const unsigned char SCALAR[NUMBER] = {0x39, 0x45, 0x20, 0x8f, 0x7b, 0x21, 0x44, 0xb1, 0x3f, 0x36, 0xe3,
    0x8a, 0xc6, 0xd3, 0x9f, 0x95, 0x88, 0x93, 0x93, 0x69, 0x28, 0x60, 0xb5, 0x1a, 0x42, 0xfb, 0x81, 0xef, 0x4d,
    0xf7, 0xc5, 0xb8};
static int has_right;

int SDF_OpenDevice(void **device) { *device = &has_right; return 0; }
int SDF_CloseDevice(void *device) { (void)device; return 0; }
int SDF_OpenSession(void *device, void **session) { (void)device; has_right = 0; *session = &has_right; return 0; }
int SDF_CloseSession(void *session) { (void)session; has_right = 0; return 0; }

int SDF_GetPrivateKeyAccessRight(void *session, unsigned int index, unsigned char *pin, unsigned int size)
{
    (void)session;
    if (index != 1) return KEY_MISSING;
    has_right = size == 4 && memcmp(pin, "1234", 4) == 0;
    return has_right ? 0 : PIN_WRONG;
}

static void multiply(const BN *scalar, BN *x, BN *y)
{
    GROUP *group = EC_GROUP_new_by_curve_name(NID_SM2);
    POINT *point = EC_POINT_new(group);
    EC_POINT_mul(group, point, scalar, 0, 0, 0);
    EC_POINT_get_affine_coordinates(group, point, x, y, 0);
}

int SDF_ExportSignPublicKey_ECC(void *session, unsigned int index, ECCrefPublicKey *key)
{
    (void)session;
    if (index != 1) return KEY_MISSING;
    BN *x = BN_new(), *y = BN_new();
    multiply(BN_bin2bn(SCALAR, NUMBER, 0), x, y);
    key->bits = 256;
    BN_bn2binpad(x, key->x, FIELD);
    BN_bn2binpad(y, key->y, FIELD);
    return 0;
}

int SDF_InternalSign_ECC(void *session, unsigned int index, unsigned char *e, unsigned int size, ECCSignature *signature)
{
    (void)session;
    if (!has_right) return PIN_WRONG;
    if (index != 1 || size != NUMBER) return KEY_MISSING;
    void *context = BN_CTX_new();
    const BN *n = EC_GROUP_get0_order(EC_GROUP_new_by_curve_name(NID_SM2));
    BN *d = BN_bin2bn(SCALAR, NUMBER, 0), *k = BN_new(), *x = BN_new(), *y = BN_new(), *r = BN_new(), *s = BN_new();
    BN_rand_range(k, n);
    multiply(k, x, y);
    BN_mod_add(r, BN_bin2bn(e, NUMBER, 0), x, n, context);
    BN_mod_mul(s, r, d, n, context);
    BN_mod_sub(s, k, s, n, context);
    BN_mod_add(y, d, BN_value_one(), n, context);
    BN_mod_mul(s, s, BN_mod_inverse(0, y, n, context), n, context);
    BN_bn2binpad(r, signature->r, FIELD);
    BN_bn2binpad(s, signature->s, FIELD);
#ifdef LEFT_ALIGNED
    memmove(signature->r, signature->r + NUMBER, NUMBER);
#endif
    return 0;
}
