/* A Modbus TCP server by libmodbus: libmodbus_server PORT ANSWERS_PER_CONNECTION FUNCTION ADDRESS WORDS...
 *
 * Prints its port (PORT 0: a free one), then serves the words (hexadecimal) from ADDRESS on to one client after the other. It closes a connection after
 * ANSWERS_PER_CONNECTION answers (0: never). libmodbus answers for every unit id, as many a gateway does.
 */
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int answers_max = atoi(argv[2]), function = atoi(argv[3]), address = atoi(argv[4]), count = argc - 5;
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    modbus_mapping_t *mapping = modbus_mapping_new_start_address(
        0, 0, 0, 0, address, function == 3 ? count : 0, address, function == 4 ? count : 0);
    uint16_t *words = function == 3 ? mapping->tab_registers : mapping->tab_input_registers;
    for (int i = 0; i < count; i++)
        words[i] = (uint16_t) strtol(argv[5 + i], NULL, 16);

    int listener = modbus_tcp_listen(context, 1);
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    getsockname(listener, (struct sockaddr *) &here, &size);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);

    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        modbus_tcp_accept(context, &listener);
        for (int answers = 0; answers_max == 0 || answers < answers_max; answers++) {
            int length = modbus_receive(context, query);
            if (length < 0)
                break;
            modbus_reply(context, query, length, mapping);
        }
        modbus_close(context);
    }
}
